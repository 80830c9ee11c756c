#!/usr/bin/env bash
# Runs the README's two commands, or others, in the last commit's files on a Debian that has nothing
# installed yet, as a new user would:
#     tools/bare_debian.sh bookworm|trixie [COMMAND...]
# Needs root, half an hour, and 8 GB below $TMPDIR, which are left behind where a command fails.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/common.sh

suite=${1:?expected a release of Debian: bookworm or trixie}
shift
if (($# == 0)); then
  set -- bash -c "tools/quickstart.sh && tools/test.sh"
fi

install_packages ca-certificates git mmdebstrap util-linux
root=$(mktemp -d -t "simaqat-$suite.XXXXXX")
stage "installing $suite in $root"
quietly "$root.log" mmdebstrap --variant=apt --include=ca-certificates "$suite" "$root"

# The network of this machine.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
quietly "$root.log" chroot "$root" update-ca-certificates
rm "$root.log"

project=/srv/simaqat
mkdir "$root$project"
git archive HEAD | tar -x -C "$root$project"

stage "running $*"
# Mounts, and processes that a command leaves behind, end with their namespaces.
# shellcheck disable=SC2016  # the inner shell's own variables
unshare --mount --pid --fork bash -euc '
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  mount --rbind /sys "$1/sys"
  exec chroot "$1" env -i --chdir="$2" HOME=/root LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "${@:3}"
' - "$root" "$project" "$@"
rm -rf "$root"
