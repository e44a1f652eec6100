#!/bin/sh
# Installs the real servers that the tests use, from Debian, where that takes no password. Starts none of them.
# Never fails: without them their tests are skipped and say so, or fail under CI=true.
set -u

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    exit 0
fi

give_up() {
    echo "==> prometheus is not installed: $*; its tests will be skipped"
    exit 0
}

command -v apt-get >/dev/null || give_up "this is no Debian, so install it as your system does"
if [ "$(id -u)" = 0 ]; then
    as_root=env
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n env"
else
    give_up "it takes root: sudo apt-get install --no-install-recommends prometheus"
fi

# Debian starts what it installs, unless this file says no.
guard=/usr/sbin/policy-rc.d
if [ ! -e $guard ]; then
    trap '$as_root rm -f $guard' EXIT
    trap 'exit 1' INT TERM
    $as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$guard && chmod 755 $guard"
fi

echo "==> installing prometheus from Debian, for the tests"
apt="$as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=60"
log=$(mktemp)
if { $apt update && $apt install -y --no-install-recommends prometheus; } </dev/null >"$log" 2>&1; then
    rm -f "$log"
    # ... and nor at the next boot.
    if command -v systemctl >/dev/null; then
        $as_root systemctl disable --quiet prometheus 2>/dev/null
    fi
    exit 0
fi
tail -n 3 "$log"
rm -f "$log"
give_up "apt-get failed, for the reason above"
