#!/usr/bin/env bash
#SBATCH --job-name=sweep
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --output=%x-%j.out
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
# Run a study on the nodes of a Slurm job.
#
#   sbatch --nodes=2 --cpus-per-task=16 --gpus-per-node=4 --time=8:00:00 \
#       cluster/slurm.sh mine.toml --results /shared/results train.epochs=20
#
# The arguments are those of `sweep run`. The script starts Ray on the nodes of the job, and runs
# `sweep run ... --or-resume` on the first one. Two minutes before the time limit, and when the job
# is preempted, Slurm sends TERM. The driver then stops in order, and the job is queued again with
# its id. The next attempt continues the study. `sweep stop` ends the job, and does not queue it.
#
# Where `sweep` is: on the PATH of the shell that calls sbatch, at the same place on every node.
# Or, in an image: SWEEP_IMAGE=sweep.sif, run by Apptainer (SWEEP_BIND=/data,/scratch binds folders).
# SWEEP_GPUS=4 says how many GPUs a node has where Slurm does not count them.
# SWEEP_HEAD_IP=10.1.2.3 is the first node's address where the address that Slurm knows is wrong.
# The home folder must be the same on all nodes: it holds the token of the job's Ray.

# Replace this process by a command, in the image if there is one.
in_environment() {
    if [ -z "${SWEEP_IMAGE:-}" ]; then exec "$@"; fi
    local words=(exec)
    if [ "$(gpus)" != 0 ]; then words+=(--nv); fi
    if [ -n "${SWEEP_BIND:-}" ]; then words+=(--bind "$SWEEP_BIND"); fi
    exec "$(command -v apptainer || command -v singularity || echo apptainer)" \
        "${words[@]}" "$SWEEP_IMAGE" "$@"
}

# Print how many cores of this node the job has. Slurm's number may count cores that this process
# may not use, and `nproc` counts all cores where Slurm does not bind processes to cores. `nproc`
# also obeys variables of OpenMP, which say nothing about the job.
cpus() {
    local usable
    usable=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
    if [ "${SLURM_CPUS_ON_NODE:-$usable}" -lt "$usable" ]; then usable=$SLURM_CPUS_ON_NODE; fi
    echo "$usable"
}

# Print how many words a list has: "0,1,2" has three, and "0-3" has four. UUIDs contain hyphens.
words_in() {
    local count=0 word ifs=$IFS
    IFS=,
    for word in $1; do
        case $word in
        *[!0-9-]* | -* | *-) count=$((count + 1)) ;;
        *-*) count=$((count + ${word#*-} - ${word%-*} + 1)) ;;
        *) count=$((count + 1)) ;;
        esac
    done
    IFS=$ifs
    echo "$count"
}

# Print how many GPUs of this node the job has. Ray refuses more than CUDA_VISIBLE_DEVICES lists.
# SLURM_JOB_GPUS comes last, because on other nodes it still lists the GPUs of the first one.
gpus() {
    local count=0 visible
    if [ -n "${SWEEP_GPUS:-}" ]; then
        count=$SWEEP_GPUS
    elif [ -n "${SLURM_STEP_GPUS:-}" ]; then
        count=$(words_in "$SLURM_STEP_GPUS")
    elif [ -n "${SLURM_GPUS_ON_NODE:-}" ]; then
        count=${SLURM_GPUS_ON_NODE##*:}
    elif [ -n "${SLURM_JOB_GPUS:-}" ]; then
        count=$(words_in "$SLURM_JOB_GPUS")
    fi
    if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
        case $CUDA_VISIBLE_DEVICES in
        "" | NoDevFiles | -1) visible=0 ;;
        *) visible=$(words_in "$CUDA_VISIBLE_DEVICES") ;;
        esac
        if [ "$visible" -lt "$count" ]; then count=$visible; fi
    fi
    echo "$count"
}

# Start a node of Ray, and keep this process until it ends. Ports are free ones, because several
# jobs may share a node. A gigabyte is enough for Ray's objects: results go to files. Of Ray's
# messages, only warnings and errors are shown.
start_ray() {
    ulimit -Sn 65536 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"
    exec > >(grep --line-buffered -v '[[:space:]]\(INFO\|SUCC\)[[:space:]]' >&2) 2>&1
    in_environment ray start "$@" --num-cpus "$(cpus)" --num-gpus "$(gpus)" --temp-dir "$TEMP" \
        --min-worker-port 0 --max-worker-port 0 --dashboard-agent-listen-port 0 \
        --object-store-memory 1000000000 --log-style record --disable-usage-stats --block
}

start_head() {
    start_ray --head --node-ip-address "$HEAD_IP" --port "$PORT" --include-dashboard false \
        --ray-client-server-port $((PORT - 10000))
}

start_worker() {
    local ip
    wait_for_head || return 1
    # The address from which this node reaches the head.
    ip=$(PATH=$PATH:/usr/sbin:/sbin ip -4 route get "$HEAD_IP" 2>/dev/null |
        sed -n 's/.* src \([0-9.]*\).*/\1/p')
    start_ray --address "$HEAD_IP:$PORT" ${ip:+--node-ip-address "$ip"}
}

# Wait until Ray's head listens, or its process has ended.
wait_for_head() {
    local left=180
    until (exec 3<>"/dev/tcp/$HEAD_IP/$PORT") 2>/dev/null; do
        if [ -n "${HEAD:-}" ] && ! kill -0 "$HEAD" 2>/dev/null; then return 1; fi
        left=$((left - 1))
        if [ "$left" = 0 ]; then
            echo "slurm.sh: $(hostname) does not reach the head at $HEAD_IP:$PORT" >&2
            return 1
        fi
        sleep 1
    done
}

# Wait until all nodes have joined, for three minutes at most; print how many have.
wait_for_nodes() {
    in_environment python -P - "$HEAD_IP:$PORT" "$SLURM_JOB_NUM_NODES" <<'PYTHON'
import sys
import time

import ray

address, wanted = sys.argv[1], int(sys.argv[2])
ray.init(address=address, log_to_driver=False, logging_level="ERROR")
until = time.monotonic() + 180
while True:
    alive = sum(node["Alive"] for node in ray.nodes())
    if alive >= wanted or time.monotonic() > until:
        break
    time.sleep(0.5)
total = ray.cluster_resources()
print(f"Ray: {alive} of {wanted} nodes, {total.get('CPU', 0):g} cores, {total.get('GPU', 0):g} GPUs")
PYTHON
}

# Print a field of what `scontrol show` prints.
field() {
    sed -n "s/.*\b$1=\([^ ]*\).*/\1/p"
}

# Print the address by which other nodes reach this one.
own_address() {
    local name ip
    name=$(scontrol show node "$SLURMD_NODENAME" | field NodeAddr)
    ip=$(getent ahostsv4 "${name:-$(hostname)}" | sed -n '1s/ .*//p')
    case $ip in
    "" | 127.*) hostname -I | cut -d ' ' -f 1 ;;
    *) echo "$ip" ;;
    esac
}

# Replace this process by one that runs a command on each node except the first.
on_others() {
    local others=$((SLURM_JOB_NUM_NODES - 1))
    if [ "$others" = 0 ]; then exit 0; fi
    exec srun --overlap --relative=1 --nodes="$others" --ntasks="$others" --ntasks-per-node=1 \
        --cpu-bind=none --kill-on-bad-exit=0 "$@"
}

# End Ray on all nodes, and remove what is of use only while it runs.
stop_ray() {
    echo "slurm.sh: ends Ray on all nodes"
    kill -TERM "$WORKERS"
    wait "$WORKERS"
    kill -TERM "$HEAD"
    wait "$HEAD"
    (on_others rm -rf "$TEMP")
    rm -rf "$RAY_AUTH_TOKEN_PATH" "$TEMP"
} 2>/dev/null

# Wait for a process, also if signals come meanwhile; return its exit code.
wait_for() {
    local before code
    while true; do
        before=$SIGNALS
        wait "$1"
        code=$?
        if [ "$before" = "$SIGNALS" ]; then return "$code"; fi
    done
}

main() {
    if [ $# = 0 ] || [ -z "${SLURM_JOB_ID:-}" ]; then
        echo "Usage: sbatch --nodes=2 --gpus-per-node=4 cluster/slurm.sh CONFIG --results FOLDER" >&2
        exit 2
    fi
    SIGNALS=0
    CHILD=""
    trap 'SIGNALS=$((SIGNALS + 1)); if [ -n "$CHILD" ]; then kill -TERM "$CHILD" 2>/dev/null; fi' TERM
    unset RAY_ADDRESS RAY_AUTH_TOKEN # of another Ray

    export HEAD_IP PORT=$((20000 + SLURM_JOB_ID % 10000)) TEMP=/tmp/ray-$SLURM_JOB_ID
    export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$HOME/.sweep/slurm-$SLURM_JOB_ID.token
    export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 # all nodes end together, so nothing moves away
    HEAD_IP=${SWEEP_HEAD_IP:-$(own_address)}
    (umask 077 && mkdir -p "$HOME/.sweep" &&
        od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH") || exit 1

    (start_head) &
    HEAD=$!
    (on_others bash -c \
        "$(declare -f in_environment cpus words_in gpus start_ray wait_for_head start_worker)
        start_worker") &
    WORKERS=$!
    (wait_for_head && wait_for_nodes) &
    CHILD=$!
    local code
    wait_for "$CHILD"
    code=$?
    if [ "$code" != 0 ] && [ "$SIGNALS" = 0 ]; then
        stop_ray
        echo "slurm.sh: Ray did not start; the lines above say why" >&2
        exit 1
    fi
    if [ "$SIGNALS" = 0 ]; then
        (in_environment sweep run "$@" --or-resume --address "$HEAD_IP:$PORT") &
        CHILD=$!
        if [ "$SIGNALS" != 0 ]; then kill -TERM "$CHILD"; fi # a signal came since the line above
        wait_for "$CHILD"
        code=$?
    fi
    # A signal ends a process that has no handler yet with 143: Python starts, and nothing is lost.
    if [ "$code" = 143 ] && [ "$SIGNALS" != 0 ]; then code=75; fi
    stop_ray
    # After a plain `scancel`, the state is CANCELLED.
    if [ "$code" = 75 ] && [ "$SIGNALS" != 0 ] &&
        [ "$(scontrol show job "$SLURM_JOB_ID" | field JobState)" = RUNNING ]; then
        echo "slurm.sh: stopped by a signal; the job is queued again, and the study continues then"
        scontrol requeue "$SLURM_JOB_ID" ||
            echo "slurm.sh: Slurm does not queue the job again; the same sbatch command goes on" >&2
    fi
    exit "$code"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then main "$@"; fi
