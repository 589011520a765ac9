#!/usr/bin/env bash
# Run a study as a job of a running Ray cluster, from a machine that has Ray but not sweep.
#
#   pip install "ray[default]==2.60.*"           # the version of the cluster
#   export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=... # if the cluster has a token
#   cluster/ray-job.sh http://head:8265 mine.toml --results s3://BUCKET/sweeps train.epochs=20
#
# The arguments after the address are those of `sweep run`. Sent are the config and the Python
# files beside it. The job has the study's name, and prints here until it ends. The same command
# again attaches to a job that runs, and goes on where a job has ended. Ctrl-C detaches.
# `ray job stop NAME` stops the job. The exit code is the study's: 75 says that it can go on.
# Where sweep is installed, `sweep submit` does the same and checks more.
set -euo pipefail

# Print the name of a study: in the overrides, or at the top of its config.
name_of() {
    local word
    for word in "$@"; do
        case $word in name=*) echo "${word#name=}" && return ;; esac
    done
    sed -n '/^\[/q; s/^name *= *"\([^"]*\)".*/\1/p' "$1"
}

# Print the state of a job and the exit code of its command; nothing if there is no such job.
state_of() {
    python -P - "$1" <<'PYTHON'
import sys

from ray.job_submission import JobSubmissionClient

client = JobSubmissionClient()  # it reads RAY_API_SERVER_ADDRESS
for job in client.list_jobs():
    if job.submission_id == sys.argv[1]:
        print(job.status.value, "" if job.driver_exit_code is None else job.driver_exit_code)
PYTHON
}

submit() {
    local name=$1 config=$2 staged
    shift 2
    staged=$(mktemp -d)
    trap 'rm -rf "$staged"' RETURN
    cp "$config" "$staged/study.toml"
    find "$(dirname "$config")" -maxdepth 1 -name '*.py' -exec cp {} "$staged" \;
    # Ray otherwise kills a job 3 s after it asks it to stop.
    ray job submit --no-wait --submission-id "$name" --working-dir "$staged" \
        --runtime-env-json '{"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "30"}}' \
        -- sweep run study.toml --or-resume --address auto "$@" >/dev/null
}

# Show what a job prints until it ends, and leave its state in STATE: nothing if the head does not
# answer for half a minute. Ray's stream can end while the job runs.
follow() {
    local name=$1 shown=0 count line answered=$SECONDS
    while true; do
        count=0
        while IFS= read -r line; do
            count=$((count + 1))
            if [ "$count" -gt "$shown" ]; then
                shown=$count
                printf '%s\n' "$line"
            fi
        done < <(PYTHONUNBUFFERED=1 ray job logs --follow "$name" \
            --log-style record --log-color false 2>/dev/null)
        if STATE=$(state_of "$name" 2>/dev/null); then
            answered=$SECONDS
            case $STATE in
            PENDING* | RUNNING*) ;;
            *) return ;;
            esac
        elif [ $((SECONDS - answered)) -gt 30 ]; then
            return
        fi
        sleep 2
    done
}

main() {
    if [ $# -lt 2 ] || [ ! -f "$2" ]; then
        echo "Usage: cluster/ray-job.sh http://HEAD:8265 CONFIG --results PLACE [KEY=VALUE ...]" >&2
        exit 2
    fi
    export RAY_API_SERVER_ADDRESS=$1
    unset RAY_ADDRESS
    shift
    local name
    name=$(name_of "$@")
    if [ -z "$name" ]; then
        echo "ray-job.sh: $1 has no line: name = \"...\". Add one, or give name=NAME." >&2
        exit 2
    fi
    local state
    if ! state=$(state_of "$name"); then
        echo "ray-job.sh: the lines above say why $RAY_API_SERVER_ADDRESS did not answer" >&2
        exit 2
    fi
    case $state in
    PENDING* | RUNNING*) echo "ray-job.sh: the job $name runs already; this attaches to it" ;;
    "") submit "$name" "$@" ;;
    *) ray job delete "$name" >/dev/null && submit "$name" "$@" ;;
    esac
    follow "$name"
    case $STATE in
    SUCCEEDED*) exit 0 ;;
    FAILED\ [0-9]*) exit "${STATE#FAILED }" ;;
    FAILED*) exit 1 ;;
    STOPPED*) exit 75 ;;
    esac
    echo "ray-job.sh: the cluster lost the job $name; the same command goes on with the study" >&2
    exit 75
}

main "$@"
