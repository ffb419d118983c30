// SPDX-License-Identifier: Apache-2.0
//
// A node as the public Node.js package `ws` sees it: client_ws.js PORT INTERFACE KEY. Prints one line
// a check, as tap.sh does. It injects what it then expects to see, so it needs nobody who sends.
// Driven by tests/system/clients.sh.
'use strict';
const WebSocket = require('ws');

const [port, iface, key] = process.argv.slice(2);
const filter = 'filter=' + encodeURIComponent('ether proto 0x88b5');
let failures = 0;

function check(name, good, ...details) {
    console.log(`${good ? 'ok' : 'not ok'} - ${name}`);
    if (!good) {
        failures++;
        console.log(`# ${JSON.stringify(details)}`);
    }
}

function connect(query, options = {}) {
    return new WebSocket(`ws://127.0.0.1:${port}/connections/${iface}?${filter}${query}`, {
        headers: { authorization: `Bearer ${key}` },
        ...options,
    });
}

function once(socket, event, seconds = 10) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no '${event}'`)), 1000 * seconds);
        socket.once(event, (...values) => {
            clearTimeout(timer);
            resolve(values);
        });
        socket.once('error', reject);
    });
}

function frame(number, length = 200) {
    const data = Buffer.alloc(length, number & 255);
    Buffer.from('02000000009902000000009988b5', 'hex').copy(data);
    data.writeUInt32BE(number, 14);
    return data;
}

// Sends frames and waits until each came back as a captured packet.
async function roundTrip(socket, numbers, length) {
    const got = [];
    const done = new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${got.length} packets came`)), 10000);
        socket.on('message', (data, isBinary) => {
            got.push(isBinary && data);
            if (got.length === numbers.length) {
                clearTimeout(timer);
                resolve();
            }
        });
    });
    for (const number of numbers) {
        socket.send(frame(number, length));
    }
    await done;
    socket.removeAllListeners('message');
    return got.every((data, i) => data && data.equals(frame(numbers[i], length)));
}

async function main() {
    const numbers = Array.from({ length: 200 }, (_, i) => i);
    let socket = connect('', { perMessageDeflate: true });
    await once(socket, 'open');
    check('ws: no permessage-deflate without ?deflate=1', socket.extensions === '', socket.extensions);
    check('ws: 200 frames injected come back as packets', await roundTrip(socket, numbers, 300));
    socket.ping('hello');
    const [pong] = await once(socket, 'pong');
    check('ws: a ping is answered with its data', pong.toString() === 'hello', pong);
    socket.send('text is ignored');
    socket.send(frame(1).subarray(0, 9), { fin: false });
    socket.send(frame(1).subarray(9), { fin: true });
    const [whole] = await once(socket, 'message');
    check('ws: a message in two fragments is one frame', whole.equals(frame(1)), whole);
    socket.close(4000, 'enough');
    const [code] = await once(socket, 'close');
    check('ws: the close code comes back', code === 4000, code);

    socket = connect('&deflate=1', { perMessageDeflate: { threshold: 0 } });
    await once(socket, 'open');
    check('ws: permessage-deflate with ?deflate=1', /permessage-deflate/.test(socket.extensions),
        socket.extensions);
    check('ws: compressed both ways', await roundTrip(socket, numbers, 1400));
    socket.close();
    await once(socket, 'close');

    socket = connect('&deflate=1', { perMessageDeflate: { serverMaxWindowBits: 9, clientMaxWindowBits: 9 } });
    await once(socket, 'open');
    check('ws: an offer with small windows still works', await roundTrip(socket, [1, 2, 3], 1400));
    socket.terminate();

    socket = connect('&format=pcapng');
    const [block] = await once(socket, 'message');
    check('ws: pcapng begins with a Section Header', block.readUInt32LE(0) === 0x0a0d0d0a, block);
    socket.close();
    await once(socket, 'close');

    socket = connect('&format=xml');
    const [, response] = await once(socket, 'unexpected-response');
    check('ws: a refusal is a problem document', response.statusCode === 400 &&
        response.headers['content-type'] === 'application/problem+json', response.headers);
    socket.on('error', () => {});
    response.destroy();
}

main().catch((error) => check(`ws: ${error.stack}`, false)).finally(() => process.exit(failures ? 1 : 0));
