# shellcheck shell=bash
# Where the packages are: this machine when it is Debian 13 or newer, otherwise a Debian 13 root made here.
#
#   /var/cache/precis/root-HASH    a finished root; HASH is of everything that decides what is in it
#   /var/cache/precis/new-HASH     one being made; renamed when finished, deleted by the next attempt when it was not
#   /var/cache/precis/use-HASH     shared lock of every command that runs inside; an old root nobody uses is deleted
#   /var/cache/precis/lock         exclusive lock of whoever makes a root
#   /var/cache/precis/user-UID     ccache and other caches of a checkout's owner, at the same path inside

readonly suite=trixie
readonly marker=/etc/precis-root
readonly precis_cache=/var/cache/precis
readonly root_recipe=1  # raise it when make_root changes what is in a root
readonly host_ca_bundles=(/etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem
  /etc/ssl/cert.pem)

fail() {
  printf './dev: %s\n' "$@" >&2
  exit 1
}

# The package names of the given lists, without comments.
package_names() {
  awk '{ sub(/#.*/, ""); for (i = 1; i <= NF; i++) print $i }' "$@"
}

# What the command at hand needs: the lists of a build, or those that $PRECIS_PACKAGES names.
wanted_packages() {
  local list
  for list in ${PRECIS_PACKAGES:-build runtime}; do
    package_names "$checkout/deploy/packages.$list"
  done | sort -u
}

host_is_debian_13() {
  local ID="" VERSION_ID=""
  # shellcheck source=/dev/null
  [[ -r /etc/os-release ]] && source /etc/os-release
  [[ $ID == debian ]] && { [[ -z $VERSION_ID ]] || ((VERSION_ID >= 13)); }  # testing and unstable have no VERSION_ID
}

# True inside a root, and on Debian 13 or newer, where it installs what is missing.
packages_are_here() {
  [[ -e $marker ]] && return 0
  host_is_debian_13 || return 1
  local missing
  missing=$(comm -23 <(wanted_packages) \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u) | xargs)
  [[ -z $missing ]] && return 0
  [[ $EUID -eq 0 ]] || fail "packages are missing; as root: apt-get install --no-install-recommends $missing"
  echo "./dev: installing $missing" >&2
  # shellcheck disable=SC2086  # one word per package
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >&2 ||
    fail "apt-get could not install the packages of deploy/packages.*"
}

# Where ccache and the scripts' own caches live, for the user at hand.
cache_directory() {
  if [[ -e $marker || $EUID -eq 0 ]]; then
    echo "$precis_cache/user-$EUID"
  else
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/precis"
  fi
}

root_hash() {
  { wanted_packages; echo "$suite $root_recipe"; } | sha256sum | cut -c 1-12
}

# Sets `root` and `root_use`, and makes the root when it is not there yet.
ensure_root() {
  [[ $EUID -eq 0 ]] || fail "this machine is not Debian 13, so the build runs in a Debian 13 root of its own;" \
    "making and entering it takes root: run ./dev as root (files in the checkout keep their owner)."
  local hash
  hash=$(root_hash)
  root=$precis_cache/root-$hash
  root_use=$precis_cache/use-$hash
  [[ -e $root$marker ]] && return
  mkdir -p "$precis_cache"
  (
    exec 8> "$precis_cache/lock"
    flock -n 8 || { echo "./dev: waiting for another ./dev that is making the Debian root" >&2; flock 8; }
    [[ -e $root$marker ]] && exit
    find "$precis_cache" -mindepth 1 -maxdepth 1 -name 'new-*' -exec rm -rf --one-file-system {} +
    # Its own mount namespace: whatever an interrupted attempt mounted is gone with it.
    make_root_in_namespace "$precis_cache/new-$hash"
    mv -T "$precis_cache/new-$hash" "$root"
    remove_unused_roots "$hash"
  )
}

make_root_in_namespace() {
  install_debootstrap
  local uri
  uri=$(find_mirror)
  echo "./dev: making a Debian 13 root in $precis_cache (once, a minute or two)" >&2
  unshare --mount --propagation private \
    bash -euo pipefail -c 'checkout=$1; source "$checkout/scripts/dev/root.sh"; make_root "$2" "$3"' \
    dev "$checkout" "$1" "$uri" || { rm -rf --one-file-system "$1"; exit 1; }
}

install_debootstrap() {
  command -v debootstrap > /dev/null && return
  command -v apt-get > /dev/null || fail "debootstrap is missing; install it with this machine's package manager."
  echo "./dev: installing debootstrap" >&2
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y debootstrap debian-archive-keyring; } \
    > "$precis_cache/debootstrap.log" 2>&1 ||
    fail "apt-get could not install debootstrap; the last lines of $precis_cache/debootstrap.log:" \
      "$(tail -n 5 "$precis_cache/debootstrap.log")"
}

# The URIs of this machine's own Debian mirrors, one per line; nothing when its sources are not Debian's.
host_mirrors() {
  local ID="" VERSION_CODENAME=""
  # shellcheck source=/dev/null
  [[ -r /etc/os-release ]] && source /etc/os-release
  [[ $ID == debian && -n $VERSION_CODENAME ]] || return 0
  shopt -s nullglob
  # One-line format: deb [options] URI suite component…
  cat /dev/null /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2> /dev/null |
    sed -E -n 's/^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]*)?//p' |
    awk -v suite="$VERSION_CODENAME" '$2 == suite && / main( |$)/ { print $1 }'
  # deb822 format: stanzas of "Field: value", divided by blank lines.
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    sed -E '/^#/d; s/[[:space:]]+$//' "$file" | awk -v RS= -v FS='\n' -v suite="$VERSION_CODENAME" '
      {
        delete value
        for (i = 1; i <= NF; i++) {
          if ($i ~ /^[^ \t]/) { name = tolower($i); sub(/:.*/, "", name); sub(/^[^:]*:/, "", $i) }
          value[name] = value[name] " " $i " "
        }
        wanted = value["types"] ~ / deb / && value["components"] ~ / main / && value["enabled"] !~ / no /
        if (wanted && index(value["suites"], " " suite " ")) {
          count = split(value["uris"], uris, /[ \t]+/)
          for (i = 1; i <= count; i++) if (uris[i] != "") print uris[i]
        }
      }'
  done
}

# Prints the first mirror that answers; an empty line stands for debootstrap's own default.
find_mirror() {
  local uri candidates=()
  if [[ -n ${PRECIS_DEBIAN_MIRROR:-} ]]; then
    candidates=("$PRECIS_DEBIAN_MIRROR")
  else
    mapfile -t candidates < <(host_mirrors)
    [[ ${#candidates[@]} -gt 0 ]] || { echo; return; }
  fi
  for uri in "${candidates[@]}"; do
    case $uri in
      file:*) [[ -e ${uri#file:}/dists/$suite/Release ]] && { echo "$uri"; return; } ;;
      *) wget -q --tries=2 --timeout=20 -O /dev/null "${uri%/}/dists/$suite/Release" && { echo "${uri%/}"; return; } ;;
    esac
  done
  fail "no Debian mirror answers with $suite (tried: ${candidates[*]})." \
    "Name one that does: PRECIS_DEBIAN_MIRROR=URI ./dev …"
}

# make_root DIRECTORY URI: runs in a mount namespace of its own.
make_root() {
  local directory=$1 uri=$2 log=$precis_cache/root.log names
  mapfile -t names < <(wanted_packages)
  mkdir -p "$directory"
  chmod 755 "$directory"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$directory" ${uri:+"$uri"} > "$log" 2>&1 ||
    fail "debootstrap could not make a Debian root; does the mirror answer? Another one: PRECIS_DEBIAN_MIRROR=URI." \
      "The last lines of $log:" "$(tail -n 5 "$log")"

  # apt inside speaks to the mirror as apt outside does: proxy, retries, certificates, clock tolerance.
  local apt_settings=$directory/etc/apt/apt.conf.d/80host bundle
  if command -v apt-config > /dev/null; then
    apt-config dump | grep -E '^Acquire::(Check-|Retries|http::|https::|ftp::)[^ ]* "[^"]+";$' > "$apt_settings" || true
  fi
  if bundle=$(host_ca_bundle); then
    install -m 644 "$bundle" "$directory/etc/ssl/certs/precis-host.pem"
    echo 'Acquire::https::CaInfo "/etc/ssl/certs/precis-host.pem";' >> "$apt_settings"
  fi
  cp -L /etc/resolv.conf "$directory/etc/resolv.conf" 2> /dev/null || true
  printf '#!/bin/sh\nexit 101\n' > "$directory/usr/sbin/policy-rc.d"  # no package starts a service in here
  chmod 755 "$directory/usr/sbin/policy-rc.d"

  mount -t proc proc "$directory/proc"
  mount --rbind /dev "$directory/dev"
  # unsafe-io: nothing survives an interrupted install anyway, so dpkg need not wait for the disk.
  { chroot "$directory" apt-get update -q &&
    DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$directory" apt-get install -q -y --no-install-recommends \
      -o Dpkg::Options::=--force-unsafe-io "${names[@]}" < /dev/null; } >> "$log" 2>&1 ||
    fail "apt-get could not install the packages into the Debian root; the last lines of $log:" "$(tail -n 5 "$log")"
  chroot "$directory" apt-get clean
  umount -l "$directory/dev" "$directory/proc"
  date -u +%FT%TZ > "$directory$marker"
}

host_ca_bundle() {
  local bundle
  for bundle in "${SSL_CERT_FILE:-}" "${host_ca_bundles[@]}"; do
    [[ -n $bundle && -r $bundle ]] && { readlink -f "$bundle"; return; }
  done
  return 1
}

# Deletes the roots of other package lists that no command runs in and none has used for a day (checkouts may differ).
remove_unused_roots() {
  local other hash
  for other in "$precis_cache"/root-*; do
    hash=${other##*/root-}
    [[ $hash == "$1" || -n $(find "$precis_cache/use-$hash" -mtime -1 2> /dev/null) ]] && continue
    (
      exec 7>> "$precis_cache/use-$hash"
      flock -n 7 || exit 0
      mv -T "$other" "$precis_cache/new-old-$hash"  # a half-deleted root never bears a root's name
      rm -rf --one-file-system "$precis_cache/new-old-$hash" "$precis_cache/use-$hash"
    )
  done
}

# enter_root COMMAND…: becomes COMMAND inside the root, as the checkout's owner. Every step is an exec, so signals, the
# exit code and the standard streams are COMMAND's own; the mounts vanish with it. Descriptor 9 holds the lock of use.
enter_root() {
  exec 9>> "$root_use"
  flock -s 9
  touch "$root_use"
  exec unshare --mount --propagation private bash "$checkout/scripts/dev/enter.sh" "$root" "$checkout" "$@"
}
