#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
//
// Record an interface of a packetrecorder node into a pcapng file, until Ctrl-C or so many seconds:
//
//     NODE_PATH=/usr/share/nodejs ./record.js http://127.0.0.1:8080 eth0 out.pcapng 'tcp port 443' 10
//
// With ?format=pcapng the binary messages of /connections/{iface}, one after the other, are a pcapng
// stream: nothing to decode, they are appended to the file as they come. The file opens in Wireshark
// at any moment, and its statistics blocks say what was lost and where.
//
// The key, if the node wants one, is in PACKETRECORDER_API_KEY. https:// works too; the variable
// NODE_EXTRA_CA_CERTS names a file with a CA of your own.
//
// Needs: apt install nodejs node-ws   (or: npm install ws)
'use strict';
const fs = require('fs');
const WebSocket = require('ws');

const [endpoint, iface, path, filter, seconds] = process.argv.slice(2);
if (!path) {
    console.error('usage: record.js http[s]://HOST:PORT INTERFACE FILE [FILTER [SECONDS]]');
    process.exit(2);
}

const url = new URL(`/connections/${encodeURIComponent(iface)}`, endpoint.replace(/^http/, 'ws'));
url.searchParams.set('format', 'pcapng');
if (filter) {
    url.searchParams.set('filter', filter);
}
const headers = {};
if (process.env.PACKETRECORDER_API_KEY) {
    headers.authorization = `Bearer ${process.env.PACKETRECORDER_API_KEY}`;
}

const file = fs.createWriteStream(path, { mode: 0o600 }); // packets are nobody else's business
const node = new WebSocket(url, { headers, perMessageDeflate: false });
let bytes = 0;

function fail(text) {
    console.error(`record.js: ${text}`);
    process.exitCode = 1;
    file.end();
}

node.on('open', () => {
    console.error(`recording '${iface}' into ${path}`);
    if (seconds) {
        setTimeout(() => node.close(1000), 1000 * seconds).unref();
    }
});

node.on('message', (data) => {
    bytes += data.length;
    if (!file.write(data)) {
        // A disk slower than the packets: let TCP tell the node, which counts what we then miss.
        node.pause();
        file.once('drain', () => node.resume());
    }
});

// The node refuses before the upgrade, with a problem document (RFC 9457) that says why.
node.on('unexpected-response', (request, response) => {
    const isProblem = response.headers['content-type'] === 'application/problem+json';
    const { socket } = response; // at its end the response has none any more
    let text = '';
    response.on('data', (piece) => (text += piece));
    response.on('end', () => {
        fail(`${response.statusCode} ${isProblem ? JSON.parse(text).detail : response.statusMessage}`);
        socket.destroy(); // the node would keep the connection for a next request
    });
});

node.on('error', (error) => fail(error.message));

node.on('close', (code, reason) => {
    // 1000 is our own end. Everything else is the node's, e.g. 1001 when it goes down.
    if (code !== 1000) {
        fail(`the node closed the connection: ${code} ${reason}`);
    }
    file.end(() => console.error(`${bytes} bytes`));
});

process.on('SIGINT', () => node.close(1000));
process.on('SIGTERM', () => node.close(1000));
