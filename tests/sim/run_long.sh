# SPDX-License-Identifier: Apache-2.0
#
# The part of run.sh that writes down what --long has found: one more row in the table of long runs
# of docs/benchmarks.md, with the running total of node-seconds, and below it the tables of this run
# in the place of those of the run before. Sourced by run.sh, whose variables it reads.
# shellcheck shell=bash disable=SC2154

readonly ROWS='<!-- long runs -->'
readonly BEGIN='<!-- tables of the last long run -->'
readonly END='<!-- end of these -->'

# Of the rows so far: the sum of what was run with the null cipher.
total() {
    awk -F'|' -v now="$null" '$0 == "'"$ROWS"'" {rows = 1; next} /^\|/ && rows {last = $8}
        !/^\|/ {rows = 0} END {printf "%.3g", last + now}' "$DOC"
}

print_tables() {
    local table

    for table in "${results[@]}"; do
        [[ $table != */table-* ]] || grep -v '^ok ' "$table"
    done
    printf '\n'
}

add_to_doc() {
    local row

    printf -v row '| %s | %s | %s | %s | %s | %s | %s | %s, %s |' "$(cat "$work/date")" \
        "$(cat "$work/commit")" "$first" "$nodes, 200, 1000" "$null" \
        "$sodium" "$(total)" "$passed" "$failed"
    print_tables >"$work/tables"
    awk -v row="$row" -v tables="$work/tables" -v rows="$ROWS" -v begin="$BEGIN" -v end="$END" '
        seen && !/^\|/ {print row; seen = 0}
        $0 == rows {seen = 1}
        !skip {print}
        $0 == begin {skip = 1; while ((getline line < tables) > 0) print line}
        $0 == end {if (skip) print; skip = 0}
    ' "$DOC" >"$work/doc" && cat "$work/doc" >"$DOC"
}
