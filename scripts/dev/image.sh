# shellcheck shell=bash
# ./dev image and ./dev deploy-test: container images of this checkout, built and run on this machine itself rather than in
# the Debian root. Podman and Docker both do; on Debian and Ubuntu a missing Podman is installed.

readonly base_image=debian:trixie-slim
readonly registry_timeout=60  # seconds; machines without a way to the registry often swallow packets

# Sets `engine`, the command line that builds and runs containers, and exports it for the scripts.
ensure_engine() {
  if [[ -n ${PRECIS_CONTAINER_ENGINE:-} ]]; then
    read -r -a engine <<< "$PRECIS_CONTAINER_ENGINE"
  elif ! command -v podman > /dev/null && command -v docker > /dev/null; then
    engine=(docker)
  else
    ensure_podman
    engine=(podman)
    # crun, Podman's first choice, does not start on machines whose cgroups are those of version 1.
    [[ -e /sys/fs/cgroup/cgroup.controllers ]] || engine+=(--runtime runc)
  fi
  export PRECIS_CONTAINER_ENGINE="${engine[*]}"
}

ensure_podman() {
  local missing=()
  command -v podman > /dev/null || missing+=(podman)
  [[ -e /sys/fs/cgroup/cgroup.controllers ]] || command -v runc > /dev/null || missing+=(runc)
  [[ ${#missing[@]} -gt 0 ]] || return 0
  [[ $EUID -eq 0 ]] && command -v apt-get > /dev/null ||
    fail "no container engine here: install ${missing[*]} (or docker) with this machine's package manager."
  mkdir -p "$precis_cache"
  echo "./dev: installing ${missing[*]}" >&2
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" iptables; } \
    > "$precis_cache/podman.log" 2>&1 ||
    fail "apt-get could not install ${missing[*]}; the last lines of $precis_cache/podman.log:" \
      "$(tail -n 5 "$precis_cache/podman.log")"
}

has_image() { "${engine[@]}" image inspect "$1" > /dev/null 2>&1; }

# The base image, from the registry or, where that does not answer, from debootstrap under the same name.
ensure_base_image() {
  has_image "$base_image" && return
  echo "./dev: getting $base_image" >&2
  timeout "$registry_timeout" "${engine[@]}" pull -q "$base_image" > /dev/null 2>&1 && return
  [[ $EUID -eq 0 ]] || fail "no registry answers with $base_image, and making it here takes root."
  echo "./dev: no registry answers; making $base_image with debootstrap" >&2
  install_debootstrap
  local uri directory
  uri=$(find_mirror)
  directory=$(mktemp -d "$precis_cache/new-base-XXXXXX")
  # shellcheck disable=SC2064  # the name is gone by then
  trap "rm -rf --one-file-system '$directory'" EXIT
  make_base "$directory" "$uri"
  tar -C "$directory" -c --one-file-system . | "${engine[@]}" import -q - "$base_image" > /dev/null
  rm -rf --one-file-system "$directory"
  trap - EXIT
}

# make_base DIRECTORY URI: what the registry's image holds: a minimal Debian without manuals and translations.
make_base() {
  local directory=$1 uri=$2 log=$precis_cache/base.log
  chmod 755 "$directory"
  debootstrap --variant=minbase "$suite" "$directory" ${uri:+"$uri"} > "$log" 2>&1 ||
    fail "debootstrap could not make a Debian root; does the mirror answer? Another one: PRECIS_DEBIAN_MIRROR=URI." \
      "The last lines of $log:" "$(tail -n 5 "$log")"
  [[ -z $uri ]] || rm -f "$directory/etc/apt/sources.list"  # this machine's mirror is nobody else's
  printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-include /usr/share/doc/*/copyright' 'path-exclude /usr/share/man/*' \
    'path-exclude /usr/share/info/*' 'path-exclude /usr/share/locale/*' > "$directory/etc/dpkg/dpkg.cfg.d/slim"
  find "$directory/usr/share/doc" ! -type d ! -name copyright -delete
  rm -rf "$directory"/var/cache/apt/* "$directory"/var/lib/apt/lists/* "$directory"/var/log/*.log "$directory"/debootstrap \
    "$directory"/usr/share/{man,info,locale}/* "$directory"/etc/{hostname,resolv.conf}
  : > "$directory/etc/machine-id"
}

# Sets `secrets`: how apt inside a build reaches what apt outside reaches. Files in `$1`.
write_build_secrets() {
  local directory=$1 uri bundle
  secrets=()
  if uri=$(find_mirror) && [[ -n $uri ]]; then
    echo "deb $uri $suite main" > "$directory/apt_sources"
    secrets+=(--secret "id=apt_sources,src=$directory/apt_sources")
  fi
  if command -v apt-config > /dev/null; then
    apt-config dump | grep -E '^Acquire::(Check-|Retries|http::|https::|ftp::)[^ ]* "[^"]+";$' > "$directory/apt_conf" || true
    secrets+=(--secret "id=apt_conf,src=$directory/apt_conf")
  fi
  if bundle=$(host_ca_bundle); then
    secrets+=(--secret "id=ca_bundle,src=$bundle")
  fi
}

# build_image NAME [ARGUMENTS]: the stage that the arguments name, or the server's.
build_image() {
  local name=$1 files version flags=() revision=unknown created=""
  shift
  files=$(mktemp -d)
  # shellcheck disable=SC2064  # the name is gone by then
  trap "rm -rf '$files'" EXIT
  write_build_secrets "$files"
  version=$(sed -n 's/^project(precis VERSION \([0-9.]*\).*/\1/p' "$checkout/CMakeLists.txt")
  if git -C "$checkout" rev-parse HEAD > /dev/null 2>&1; then
    revision=$(git -C "$checkout" rev-parse HEAD)
    created=$(git -C "$checkout" show -s --format=%cI HEAD)
  fi
  if [[ ${engine[0]} == podman ]]; then
    # The Docker format keeps HEALTHCHECK, which OCI's has no word for. The compiler's cache is that of ./dev build.
    mkdir -p "$(cache_directory)/ccache"
    flags=(--format docker --isolation chroot --network host
      --volume "$(cache_directory)/ccache:/var/cache/precis/user-0/ccache")
  fi
  "${engine[@]}" build "${flags[@]}" "${secrets[@]}" --build-arg VERSION="$version" --build-arg REVISION="$revision" \
    --build-arg CREATED="$created" -f "$checkout/deploy/Dockerfile" -t "$name" "$@" "$checkout"
  rm -rf "$files"
  trap - EXIT
}

build_images() {
  ensure_engine
  ensure_base_image
  build_image precis
  build_image precis-haproxy --target haproxy
}

command_image() {
  case ${1:-} in
    "") build_images ;;
    --test)
      build_images
      exec python3 "$checkout/tests/deploy/image.py" precis "${@:2}"
      ;;
    --tests)
      ensure_engine
      ensure_base_image
      build_image precis-test --target test
      ;;
    *) echo "usage: ./dev image [--test [ARGUMENTS] | --tests]" >&2; exit 2 ;;
  esac
}

# The images are built first when they are not there, as ./dev run does with binaries.
command_deploy_test() {
  ensure_engine
  has_image precis && has_image precis-haproxy || build_images >&2
  exec python3 "$checkout/tests/deploy/deploy.py" "$@"
}
