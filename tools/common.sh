# shellcheck shell=bash
# What the scripts of this folder share: sourced, not run.

# Prints a line of progress with the seconds since the script began.
stage() {
  printf '%5d s  %s\n' "$SECONDS" "$*"
}

# quietly LOG COMMAND...: the command's output goes to LOG, and is shown if it fails.
quietly() {
  local log=$1
  shift
  local status=0
  "$@" >"$log" 2>&1 || status=$?
  if ((status != 0)); then
    {
      echo "failed with status $status: $*"
      tail -n 50 "$log"
      echo "(all of it: $log)"
    } >&2
  fi
  return "$status"
}

# Installs those of the named Debian packages that are missing.
install_packages() {
  local package
  local missing=()
  for package in "$@"; do
    if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
      missing+=("$package")
    fi
  done
  if ((${#missing[@]} == 0)); then
    return
  fi

  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "needs root, or sudo, to install: ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  local log
  log=$(mktemp -t simaqat-apt.XXXXXX)
  quietly "$log" "${as_root[@]}" apt-get update
  quietly "$log" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
  rm "$log"
}
