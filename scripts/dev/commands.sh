# shellcheck shell=bash
# The commands of ./dev, one function each. All of them run where the packages are.

preset=release

set_environment() {
  umask 022
  export CCACHE_DIR=${CCACHE_DIR:-$(cache_directory)/ccache} CCACHE_BASEDIR=$checkout
  # Where scripts put what they can make again, such as Python environments.
  export PRECIS_CACHE_DIR=${PRECIS_CACHE_DIR:-$(cache_directory)/cache}
  mkdir -p "$CCACHE_DIR" "$PRECIS_CACHE_DIR"
  # Abseil poisons the free slots of its hash tables, but the distribution's libabsl does not lift the poison again.
  export ASAN_OPTIONS=allow_user_poisoning=0:detect_stack_use_after_return=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}
  export UBSAN_OPTIONS=print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}
  export TSAN_OPTIONS=suppressions=$checkout/cmake/tsan.supp${TSAN_OPTIONS:+:$TSAN_OPTIONS}
}

# Takes "--preset NAME" or "--preset=NAME" off the front of a command's arguments. Sets `preset` and `arguments`.
take_preset() {
  arguments=("$@")
  case ${1:-} in
    --preset) preset=${2:?--preset wants a name}; arguments=("${@:3}") ;;
    --preset=*) preset=${1#--preset=}; arguments=("${@:2}") ;;
  esac
  case $preset in
    release | debug | asan-ubsan | tsan | fuzz) ;;
    *) echo "./dev: unknown preset \"$preset\" (release, debug, asan-ubsan, tsan, fuzz)" >&2; exit 2 ;;
  esac
}

# configure_and_build [TARGET…]
configure_and_build() {
  local build_directory=$checkout/build/$preset targets=()
  # Ninja configures again by itself when a CMake file changes; a new preset file is the one thing it does not see.
  if [[ ! -e $build_directory/build.ninja || $checkout/CMakePresets.json -nt $build_directory/build.ninja ]]; then
    (cd "$checkout" && cmake --preset "$preset")
  fi
  [[ $# -eq 0 ]] || targets=(--target "$@")
  cmake --build "$build_directory" "${targets[@]}"
}

command_build() {
  take_preset "$@"
  configure_and_build "${arguments[@]}"
}

command_test() {
  take_preset "$@"
  configure_and_build
  exec ctest --test-dir "$checkout/build/$preset" --output-on-failure --no-tests=error -j "$(nproc)" "${arguments[@]}"
}

command_run() {
  take_preset "$@"
  [[ ${#arguments[@]} -gt 0 ]] || { echo "usage: ./dev run BINARY [ARGUMENTS]" >&2; exit 2; }
  local binary=${arguments[0]}
  if [[ $binary != */* ]]; then
    binary=$checkout/build/$preset/bin/$binary
    [[ -x $binary ]] || configure_and_build "${arguments[0]}" >&2
  fi
  exec "$binary" "${arguments[@]:1}"
}

command_bench() {
  take_preset "$@"
  configure_and_build precis_bench >&2
  exec "$checkout/build/$preset/bin/precis_bench" "${arguments[@]}"
}

# Without a repository or a model among the arguments: the demo's, at every precision.
command_serve() {
  take_preset "$@"
  configure_and_build precisd >&2
  local repository=(--model_repository="$checkout/demo/repository"
    --load=fashion@fp32,fashion@bf16,fashion@fp16,fashion@int8)
  [[ " ${arguments[*]} " =~ \ --model(_repository)?[=\ ] ]] && repository=()
  exec "$checkout/build/$preset/bin/precisd" "${repository[@]}" "${arguments[@]}"
}

command_demo() {
  take_preset "$@"
  configure_and_build precisd precis >&2
  exec "$checkout/demo/run" "$checkout/build/$preset/bin"
}

command_train() {
  exec python3 "$checkout/demo/train.py" "$@"
}

command_shell() {
  exec bash "$@"
}

# Every C++ source of the repository, NUL-separated.
cpp_sources() {
  find "$checkout" -path "$checkout/build" -prune -o -path "$checkout/.git" -prune -o \
    -type f \( -name '*.h' -o -name '*.cc' \) -print0
}

unformatted_files() {
  # shellcheck disable=SC2016  # the inner shell's arguments
  cpp_sources | xargs -0 -r -n 16 -P "$(nproc)" sh -c 'clang-format --style=file --dry-run "$@" 2>&1 |
    sed -n "s/:[0-9]*:[0-9]*: warning: code should be clang-formatted.*//p" | sort -u' _ | sort
}

command_format() {
  local files
  case ${1:-} in
    "")
      # What one pass of clang-format breaks, the next may join: a file can take several to settle.
      for _ in 1 2 3 4 5; do
        mapfile -t files < <(unformatted_files)
        [[ ${#files[@]} -gt 0 ]] || return 0
        clang-format --style=file -i "${files[@]}"
      done
      ;;
    --check)
      files=$(unformatted_files)
      [[ -n $files ]] || return 0
      printf '%s\n' "$files"
      echo "./dev format would change these files" >&2
      return 1
      ;;
    *) echo "usage: ./dev format [--check]" >&2; exit 2 ;;
  esac
}

command_lint() {
  take_preset "$@"
  configure_and_build  # generated headers must be there
  local files=("${arguments[@]}")
  [[ ${#files[@]} -gt 0 ]] || files=("^$checkout/(stats|engine|server|client|loadtest|tests)/.*\.cc$")
  exec run-clang-tidy -quiet -p "$checkout/build/$preset" -j "$(nproc)" \
    -extra-arg=-Wno-unknown-warning-option "${files[@]}"
}
