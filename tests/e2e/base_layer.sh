#!/bin/bash
# base_layer.sh NAME WORK OUT [LOWER.tar.gz...]: makes one layer of a stand-in base image on top of the LOWER layers.
# Runs in a mount name space of its own. Environment: SUITE MIRROR DEBS (a folder of downloaded packages) PACKAGES SCRIPT.
set -euo pipefail
name=$1 work=$2 out=$3
shift 3
mkdir -p "$work/upper" "$work/lower" "$work/overlay" "$work/root" "$DEBS/$name"

busybox_root() {
  mkdir -p "$1"/{bin,dev,etc,home,proc,root,sys,tmp,usr/bin,usr/sbin,var}
  chmod 1777 "$1/tmp" && chmod 700 "$1/root"
  cp "$(command -v busybox)" "$1/bin/busybox"
  for applet in $("$1/bin/busybox" --list); do
    [ -e "$1/bin/$applet" ] || ln "$1/bin/busybox" "$1/bin/$applet"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' > "$1/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' > "$1/etc/group"
}

debian_root() {
  debootstrap --variant=minbase --cache-dir="$DEBS/$name" "$SUITE" "$1" "$MIRROR"
  chroot "$1" /bin/sh -ec "$SCRIPT"
}

installed_on_parent() {
  for layer in "$@"; do tar -xzf "$layer" -C "$work/lower"; done
  mount -t overlay overlay -o "lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/overlay" "$work/root"
  mount --bind "$DEBS/$name" "$work/root/var/cache/apt/archives"
  mount --bind /etc/resolv.conf "$work/root/etc/resolv.conf"
  mount -t proc proc "$work/root/proc"
  mount --bind /dev "$work/root/dev"
  export DEBIAN_FRONTEND=noninteractive
  chroot "$work/root" apt-get -q update
  # shellcheck disable=SC2086 # a list of words
  chroot "$work/root" apt-get -q -y -o APT::Keep-Downloaded-Packages=true install --no-install-recommends $PACKAGES
  chroot "$work/root" /bin/sh -ec "$SCRIPT"
  umount "$work/root/dev" "$work/root/proc" "$work/root/etc/resolv.conf" "$work/root/var/cache/apt/archives" "$work/root"
}

# In the upper folder of an overlay a deleted file is a device 0/0; in a layer it is an empty file named .wh.NAME.
whiteouts() {
  find "$1" -type c | while read -r path; do
    [ "$(stat -c %t:%T "$path")" = 0:0 ] || continue
    rm "$path" && touch "$(dirname "$path")/.wh.$(basename "$path")"
  done
}

case $name in
  busybox) busybox_root "$work/upper" ;;
  debian) debian_root "$work/upper" ;;
  *)
    installed_on_parent "$@"
    whiteouts "$work/upper"
    ;;
esac
rm -rf "$work/upper"/var/lib/apt/lists/* "$work/upper"/var/cache/apt/*.bin "$work/upper"/var/cache/debconf/*-old \
  "$work/upper"/var/cache/ldconfig "$work/upper"/var/log/{apt,*.log} "$work/upper"/var/lib/dpkg/*-old
if [ "$name" = debian ]; then
  rm -rf "$work/upper"/dev/* "$work/upper"/proc/* "$work/upper"/var/cache/apt/archives/*.deb
fi
tar -C "$work/upper" --numeric-owner --sort=name --xattrs --xattrs-include='security.capability' -cf - . | gzip -n > "$out"
