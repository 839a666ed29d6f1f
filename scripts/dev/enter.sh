#!/usr/bin/env bash
# enter.sh ROOT CHECKOUT COMMAND…: the second half of enter_root in root.sh. Runs as root in a mount namespace of its
# own, mounts into ROOT what the command may see of this machine, and becomes the command inside, as CHECKOUT's owner.
set -euo pipefail
shopt -s nullglob

root=$1 checkout=$2
shift 2
visible=()  # directories that are the same inside and outside

# Mounts a file or directory of this machine at its own path (or at $2) inside. Missing ones are left out.
bind() {
  local source=$1 target=$root${2:-$1}
  [[ -e $source ]] || return 0
  if [[ -d $source ]]; then
    [[ -d $target ]] || mkdir -p "$target"
  elif [[ ! -e $target ]]; then
    mkdir -p "${target%/*}" && touch "$target"
  fi
  mount --rbind "$source" "$target"
}

bind_directory() {
  [[ -d $1 ]] || return 0
  bind "$1"
  visible+=("$1")
}

owner=$(stat -c '%u' "$checkout")
group=$(stat -c '%g' "$checkout")
caches=/var/cache/precis/user-$owner
[[ -d $caches ]] || install -d -o "$owner" -g "$group" "$caches"

bind /proc
bind /sys
bind /dev
bind_directory /tmp
bind_directory "$checkout"
[[ -d $checkout/../shared ]] && bind_directory "$(readlink -f "$checkout/../shared")"
bind_directory "$caches"
bind_directory /var/cache/peers
# A worktree's git directory is elsewhere.
if [[ -f $checkout/.git ]]; then
  bind_directory "$(readlink -f "$(git -c safe.directory='*' -C "$checkout" rev-parse --git-common-dir)")"
fi

# The network, and whom to trust on it, are this machine's. The bundle has one name inside, whatever it has outside.
bind "$(readlink -f /etc/resolv.conf)" /etc/resolv.conf
bind /etc/hosts
bundle_inside=/etc/ssl/certs/ca-certificates.crt
for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
  /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
  if [[ -n $bundle && -r $bundle ]]; then
    bind "$(readlink -f "$bundle")" "$bundle_inside"
    break
  fi
done

# pip: its configuration files, and the local paths that they and the environment name.
local_paths=()
for configuration in /etc/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" "${PIP_CONFIG_FILE:-}"; do
  [[ -f $configuration ]] || continue
  bind "$configuration"
  # shellcheck disable=SC2013  # words are wanted
  for word in $(sed -E -n 's/^[[:space:]]*(cert|client-cert|find-links)[[:space:]]*=//p; s/^[[:space:]]+(\/.*)/\1/p' \
    "$configuration"); do
    local_paths+=("${word#file://}")
  done
done
for word in ${PIP_FIND_LINKS:-} ${PIP_CERT:-} ${REQUESTS_CA_BUNDLE:-} ${CURL_CA_BUNDLE:-} ${SSL_CERT_FILE:-}; do
  local_paths+=("${word#file://}")
done
for path in "${local_paths[@]}"; do
  [[ $path == /* && $path != "$bundle_inside" ]] && bind "$path"
done

# The owner has a name inside too, for the programs that ask.
if ! grep -q "^[^:]*:[^:]*:$owner:" "$root/etc/passwd"; then
  echo "precis:x:$owner:$group::$caches:/bin/bash" >> "$root/etc/passwd"
fi
[[ $owner == 0 ]] && home=/root || home=$caches

directory=$checkout
current=$(pwd -P)
for path in "${visible[@]}"; do
  [[ $current/ == "$path"/* ]] && directory=$current
done

# Everything else in the environment passes through; these would point at this machine's own libraries and tools.
unset LD_LIBRARY_PATH LD_PRELOAD PYTHONHOME PYTHONPATH VIRTUAL_ENV SSL_CERT_DIR CC CXX
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
exec chroot --userspec="+$owner:+$group" "$root" /usr/bin/env --chdir="$directory" HOME="$home" "$@"
