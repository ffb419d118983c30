#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The command line as a user meets it: help, man pages, completion, exit codes, what goes to which
# stream, keys, and that a key does not stay in the process list.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
scratch_dir command-line || skip_all "no scratch folder"
mkdir "$SCRATCH/bin"
ln -s "$(realpath "$PR_BIN")" "$SCRATCH/bin/packetrecorder"
PATH=$SCRATCH/bin:$PATH
cd "$SCRATCH" || exit 1

commands() { packetrecorder help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }

# Those behind manage.
manage_commands() { packetrecorder help manage | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }

# The long names of a command's own options, without "no-"; the global ones without an argument.
options_of() {
    packetrecorder help "$@" | sed -n 's/^  \(-[a-zA-Z], \)\{0,1\}--\(\[no-\]\)\{0,1\}\([a-z0-9-]*\).*/\3/p'
}

stdout_is_empty() { [ -z "$("$@" 2>/dev/null)" ]; }
stderr_is_empty() { [ -z "$("$@" 2>&1 >/dev/null)" ]; }
# says TEXT COMMAND…: the command prints it, whatever it ends with.
says() { [[ $("${@:2}" 2>&1) == *"$1"* ]]; }

test_help() {
    local command
    check "there are commands to test" test "$(commands | wc -l)" -ge 5
    check_exit "help ends with 0" 0 packetrecorder help
    check_exit "--help ends with 0" 0 packetrecorder --help
    check "help is on standard output" stderr_is_empty packetrecorder --help
    check_exit "no command is wrong usage" 2 packetrecorder
    check "and says so on standard error alone" stdout_is_empty packetrecorder
    for command in $(commands); do
        check_equal "'$command --help' is 'help $command'" "$(packetrecorder help "$command")" \
            "$(packetrecorder "$command" --help)"
    done
    check "there are commands of manage to test" test "$(manage_commands | wc -l)" -ge 15
    for command in $(manage_commands); do
        check_equal "'manage $command --help' is 'help manage $command'" \
            "$(packetrecorder help manage "$command")" "$(packetrecorder manage "$command" --help)"
    done
    check_equal "none of their lines is wider than a terminal" "" \
        "$(for command in $(manage_commands); do packetrecorder help manage "$command"; done |
            grep -v '^  packetrecorder\|^Usage' | awk 'length > 80')"
    check "the overview explains the global options" test "$(options_of | wc -l)" -ge 7
    check "options are found in help" test "$(options_of capture | wc -l)" -ge 20
    check_equal "the version is one line" 1 "$(packetrecorder --version | wc -l)"
    check_equal "no line of help is wider than a terminal" "" \
        "$(for command in $(commands); do packetrecorder help "$command"; done |
            grep -v '^  packetrecorder\|^Usage' | awk 'length > 80')"
}

test_usage() {
    check_exit "an unknown command is wrong usage" 2 packetrecorder list-interface
    check "an unknown command is answered with the nearest" \
        says "did you mean 'list-interfaces'?" packetrecorder list-interface
    check_exit "an unknown option is wrong usage" 2 packetrecorder list-interfaces --jsn
    check "an unknown option is answered with the nearest" \
        says "unknown option '--jsn'; did you mean '--json'?" packetrecorder list-interfaces --jsn
    check "and with where to read" says "packetrecorder list-interfaces --help" \
        packetrecorder list-interfaces --jsn
    check "wrong usage leaves standard output empty" stdout_is_empty packetrecorder keys
    check_exit "standard output that is full is a failure" 1 \
        sh -c 'packetrecorder list-interfaces >/dev/full'
    check_exit "so it is for --version" 1 sh -c 'packetrecorder --version >/dev/full'
}

test_man() {
    local command
    command -v mandoc >/dev/null || {
        skip "man pages are clean" "mandoc is not installed"
        return
    }
    packetrecorder man >packetrecorder.1
    check "packetrecorder.1 is clean" mandoc -T lint -W warning packetrecorder.1
    rendered packetrecorder.1 >page.txt
    check_equal "packetrecorder.1 names every global option" "" \
        "$(options_of | missing_from page.txt)"
    for command in $(commands); do
        packetrecorder man "$command" >"packetrecorder-$command.1"
        check "packetrecorder-$command.1 is clean" \
            mandoc -T lint -W warning "packetrecorder-$command.1"
        rendered "packetrecorder-$command.1" >page.txt
        check_equal "packetrecorder-$command.1 names every option" "" \
            "$(options_of "$command" | missing_from page.txt)"
    done
    packetrecorder man manage >packetrecorder-manage.1
    rendered packetrecorder-manage.1 >page.txt
    for command in $(manage_commands); do
        check_equal "packetrecorder-manage.1 names every option of $command" "" \
            "$({ echo "manage $command"; options_of manage "$command"; } | missing_from page.txt)"
    done
}

# Without the overstriking that stands for bold and underlined.
rendered() { mandoc -T ascii "$1" | sed 's/.\x08//g'; }

# missing_from FILE: the words from standard input, one a line, that the file does not hold.
missing_from() {
    local text word
    text=$(cat "$1")
    while read -r word; do
        [[ $text == *"$word"* ]] || printf '%s ' "$word"
    done
}

test_completion_text() {
    local shell=$1 command
    packetrecorder completion "$shell" >"completion.$shell"
    check_equal "the $shell completion names every command" "" \
        "$(commands | missing_from "completion.$shell")"
    check_equal "the $shell completion names every global option" "" \
        "$(options_of | missing_from "completion.$shell")"
    for command in $(commands); do
        check_equal "the $shell completion names every option of $command" "" \
            "$(options_of "$command" | missing_from "completion.$shell")"
    done
    check_equal "the $shell completion names every command and option of manage" "" \
        "$(for command in $(manage_commands); do
            echo "$command"
            options_of manage "$command"
        done | missing_from "completion.$shell")"
}

# bash_completes WORD…: what the script offers for the last word.
bash_completes() {
    bash --norc -c '
        . ./completion.bash
        COMP_WORDS=(packetrecorder "$@")
        COMP_CWORD=$#
        _packetrecorder
        printf "%s\n" "${COMPREPLY[@]}"' completes "$@"
}

test_bash() {
    check "the bash completion is valid" bash -n completion.bash
    check_equal "bash completes a command" list-interfaces "$(bash_completes list-i)"
    check_equal "bash completes a word" db-new "$(bash_completes keys d)"
    check_equal "bash completes an option" --json "$(bash_completes keys --js)"
    check_equal "bash completes behind a global option" list-interfaces \
        "$(bash_completes --endpoint host list-i)"
    touch 'with blank.txt'
    check_equal "bash completes a file with a blank" 'with blank.txt' \
        "$(bash_completes list-interfaces --api-key-file = with)"
    check_equal "bash completes a command of manage" stop-capture "$(bash_completes manage stop-c)"
    check_equal "bash completes its options" --max-packets \
        "$(bash_completes manage --timeout 5 --endpoint h start-capture --max-p)"
    check_equal "bash completes those of all of manage" --timeout "$(bash_completes manage info --time)"
    check_equal "bash completes a word of it" revoke "$(bash_completes manage keys re)"
    check_equal "bash takes no other command's options for it" "" "$(bash_completes manage sessions --datab)"
    check_equal "bash completes no hidden command" "" "$(bash_completes __)"
    if commands | grep -qx capture; then
        check_equal "bash completes an interface" lo "$(bash_completes capture -i lo)"
        check_equal "bash completes a choice" inout "$(bash_completes capture --direction ino)"
    fi
}

test_zsh() {
    command -v zsh >/dev/null || {
        skip "the zsh completion is valid" "zsh is not installed"
        return
    }
    check "the zsh completion is valid" zsh -n completion.zsh
    check_equal "zsh loads it" "_packetrecorder: function" \
        "$(zsh -fc 'autoload -Uz compinit && compinit -D -u && . ./completion.zsh &&
            whence -w _packetrecorder' 2>&1)"
}

test_fish() {
    command -v fish >/dev/null || {
        skip "the fish completion is valid" "fish is not installed"
        return
    }
    check "the fish completion is valid" fish -n completion.fish
    check_equal "fish completes a word" db-new "$(fish_completes 'packetrecorder keys d')"
    check_equal "fish completes a command" list-interfaces \
        "$(fish_completes 'packetrecorder list-i')"
    check_equal "fish completes a command of manage" stop-capture \
        "$(fish_completes 'packetrecorder manage stop-c')"
    check_equal "fish completes its options" --max-packets \
        "$(fish_completes 'packetrecorder manage --timeout 5 start-capture --max-p')"
    check_equal "fish takes no other command's options for it" "" \
        "$(fish_completes 'packetrecorder manage sessions --datab')"
    check_equal "fish completes a word of it" revoke "$(fish_completes 'packetrecorder manage keys re')"
}

# A name is written by whoever recorded; bash would run what stands in it.
test_hostile_names() {
    if [ "$(id -u)" != 0 ] || ! commands | grep -qx capture; then
        skip "a session name is not run by the completion" "needs root and a capture command"
        return
    fi
    packetrecorder capture -i lo -t 0.2 -d names.db --name harmless 2>/dev/null
    packetrecorder capture -i lo -t 0.2 -d names.db --name '$(touch pwned)' 2>/dev/null
    check "sessions are completed by name" \
        grep -qx harmless <(packetrecorder __complete sessions names.db)
    check_equal "and by id" 2 "$(packetrecorder __complete sessions names.db | grep -cE '^[0-9a-f-]{36}$')"
    check "but not by a name that a shell would run" \
        bash -c '! packetrecorder __complete sessions names.db | grep -q touch'
    bash_completes query -d names.db -s '' >/dev/null
    check "and nothing was run" test ! -e pwned
}

fish_completes() {
    # shellcheck disable=SC2016 # $argv is of fish
    HOME=$SCRATCH fish --no-config -c '. completion.fish; complete -C $argv[1]' "$1" 2>&1 | cut -f1
}

test_keys() {
    local key
    key=$(packetrecorder keys db-new)
    check "a database key is one line of the form prd_KEY" \
        grep -qxE 'prd_[A-Za-z0-9_-]{43}' <<<"$key"
    check "no key comes twice" test "$key" != "$(packetrecorder keys db-new)"
}

test_secret() {
    [ "$(id -u)" = 0 ] || {
        skip "a key leaves the process list" "needs root"
        return
    }
    commands | grep -qx capture || {
        skip "a key leaves the process list" "there is no capture command"
        return
    }
    packetrecorder capture -i lo -d secret.db --encryption-key hunter2hunter2 2>capture.log &
    local pid=$!
    at_exit kill -9 "$pid"
    check "a capture with a key on the command line starts" wait_for 20 grep -q session capture.log
    check_equal "the key is not in the process list" 0 \
        "$(tr '\0' '\n' <"/proc/$pid/cmdline" | grep -c hunter2)"
    check "the user is warned" grep -q 'on the command line' capture.log
    check_equal "the key is not in what is printed" 0 "$(grep -c hunter2 capture.log)"
    kill -INT "$pid"
    check "the capture ends" wait_for 20 has_ended "$pid"
}

test_install() {
    local command
    [ -f "$PR_BUILD/cmake_install.cmake" ] || {
        skip "the program installs" "no build tree in PR_BUILD"
        return
    }
    check "the program installs" cmake --install "$PR_BUILD" --prefix "$SCRATCH/usr"
    for command in $(commands); do
        check "the man page of $command is installed" \
            cmp "packetrecorder-$command.1" "usr/share/man/man1/packetrecorder-$command.1"
    done
    check "the man page is installed" cmp packetrecorder.1 usr/share/man/man1/packetrecorder.1
    check "the bash completion is installed" \
        cmp completion.bash usr/share/bash-completion/completions/packetrecorder
    check "the zsh completion is installed" \
        cmp completion.zsh usr/share/zsh/site-functions/_packetrecorder
    check "the fish completion is installed" \
        cmp completion.fish usr/share/fish/vendor_completions.d/packetrecorder.fish
}

test_help
test_usage
test_man
for shell in bash zsh fish; do
    test_completion_text "$shell"
done
test_bash
test_zsh
test_fish
test_hostile_names
test_keys
test_secret
test_install
check "an endpoint that no command asks is warned about" bash -c \
    '"$0" --endpoint h:1 list-interfaces 2>&1 >/dev/null | grep -q "asks no node"' "$PR_BIN"
# Closed standard descriptors are not taken by the store's files.
check_exit "an answer to a closed standard output is an error" 1 \
    bash -c '"$0" list-interfaces >&-' "$PR_BIN"
closed=$(mktemp -d) && check_exit "closed standard descriptors harm no store" 0 \
    timeout 20 bash -c 'cd "$1" && python3 -c "
import struct, sys
sys.stdout.buffer.write(struct.pack(\"<IHHiIII\", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) +
                        struct.pack(\"<IIII\", 1, 2, 60, 60) + bytes(60))" >one.pcap &&
        "$0" capture -r one.pcap -d p.db <&- >&- 2>&- && "$0" verify -d p.db' "$PR_BIN" "$closed"
rm -rf "$closed"
tap_done
