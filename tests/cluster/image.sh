#!/usr/bin/env bash
# Build the image without a registry of images, and run the quickstart in it as user 1000.
#
#   tests/cluster/image.sh FOLDER        # 40 GB free, 15 to 30 minutes
#
# debootstrap makes a Debian with Python under the name of the Dockerfile's base. buildah builds
# the image from it. The image then runs in namespaces of its own, with tini as process 1. The
# script needs root, buildah, debootstrap and Debian's and Python's package registries.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mkdir -p "$1" && cd "$1" && pwd)
python=3.11 # of Debian bookworm
base=docker.io/library/python:$python-slim-bookworm
store=(--root "$folder/storage" --runroot "$folder/run" --storage-driver vfs)

say() { echo "$(date +%T) $*"; }

make_base() {
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        bookworm "$folder/debian" >"$folder/debootstrap.log"
    ln -s /usr/bin/python3 "$folder/debian/usr/local/bin/python3"
    rm -f "$folder/debian/usr/lib/python$python/EXTERNALLY-MANAGED"
    # Certificates of this machine: a mirror of the registries may have its own.
    cp /etc/ssl/certs/ca-certificates.crt "$folder/debian/etc/ssl/certs/ca-certificates.crt"
    local container
    container=$(buildah "${store[@]}" from scratch)
    buildah "${store[@]}" add --quiet "$container" "$folder/debian" /
    buildah "${store[@]}" config --env PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin "$container"
    buildah "${store[@]}" commit --quiet --rm "$container" "$base"
    rm -rf "$folder/debian"
}

build() {
    local cache=()
    if command -v uv >/dev/null; then cache=(--volume "$(uv cache dir):/root/.cache/uv"); fi
    buildah "${store[@]}" bud --isolation chroot --network host --format docker --layers=false \
        --pull-never --build-arg PYTHON=$python --build-arg "TORCH_INDEX=${TORCH_INDEX:-}" \
        "${cache[@]}" --file "$here/docker/Dockerfile" --tag sweep "$here"
}

# Run a command in the image, as its own user, below its process 1, in namespaces of its own.
# shellcheck disable=SC2016 # the words in single quotes are expanded by the inner shell
in_image() {
    local words=("$@") env
    mapfile -t env < <(buildah "${store[@]}" inspect --type image \
        --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' sweep | grep "=")
    unshare --mount --pid --ipc --uts --fork --kill-child bash -euc '
        root=$1; shift
        mount --make-rprivate /
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs -o size=4g tmpfs "$root/dev/shm"
        mount -t tmpfs tmpfs "$root/tmp"
        exec chroot --userspec=1000:1000 "$root" "$@"' in_image "$mounted" \
        /usr/bin/env -i "${env[@]}" HOME=/home/ray OMP_NUM_THREADS=1 /usr/bin/tini -- "${words[@]}"
}

check() {
    local container
    container=$(buildah "${store[@]}" from --pull-never sweep)
    mounted=$(buildah "${store[@]}" mount "$container")
    cp "$here/experiments/quickstart.toml" "$mounted/home/ray/"
    cp /etc/resolv.conf "$mounted/etc/resolv.conf"
    say "user: $(in_image id -un) $(in_image id -u)"
    say "a login shell finds: $(in_image bash -lc 'command -v ray sweep python' | xargs)"
    say "orphans that stay: $(in_image sh -c '(sleep 0.2 &); sleep 1; ps -eo stat= | grep -c ^Z || true')"
    say "versions: $(in_image ray --version), $(in_image python -c \
        'import torch, sys; print("torch", torch.__version__, "Python", sys.version.split()[0])')"
    say "job server: $(in_image python -c 'import ray.dashboard.optional_deps; print("yes")')"
    say "sizes: environment $(du -sh "$mounted/opt/sweep" | cut -f1), image $(du -sh "$mounted" | cut -f1)"
    say "quickstart"
    in_image sweep run /home/ray/quickstart.toml --results /results
    say "files belong to user $(stat -c %u "$mounted/results/quickstart")"
    buildah "${store[@]}" umount "$container" >/dev/null
}

say "base"
[ -e "$folder/base.done" ] || { make_base && touch "$folder/base.done"; }
say "build"
build >"$folder/build.log" 2>&1 || { tail -30 "$folder/build.log"; exit 1; }
say "check"
check
say "done"
