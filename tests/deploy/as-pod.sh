#!/bin/sh
# Runs a command in the root of an image as a pod's container would: uid 65532, no capability, no way to more, a root
# that cannot be written, /data and /tmp that can. Ends with the mount namespace that it is started in:
#   unshare --mount --pid --fork tests/deploy/as-pod.sh ROOT COMMAND…
set -eu
root=$1
shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=0770,gid=65532 tmpfs "$root/data"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$CONFIG" "$root/mnt"
# The environment is that of the image, and nothing of ours. Who becomes another user no longer dies with who began it
# (--kill-child of unshare), so that is said once more.
exec /usr/bin/env -i PATH="$IMAGE_PATH" HOME="$IMAGE_HOME" PYTHONUNBUFFERED=1 \
    /usr/sbin/chroot --userspec=65532:65532 --groups=65532 "$root" \
    /usr/bin/setpriv --no-new-privs --pdeathsig KILL sh -c 'cd /data && exec "$@"' sh "$@"
