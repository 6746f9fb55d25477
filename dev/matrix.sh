#!/usr/bin/env bash
# dev/matrix.sh [17|18]...
#
# Runs the tests of dev/test.sh (not lint, which no server version changes)
# with other versions of PostgreSQL: each in a small Debian of its own, made by
# debootstrap below PGXC_MATRIX_DIR the first time and used again later.
#
# Needs root, debootstrap (installed if missing) and a Debian mirror, by
# default the one this system itself is installed from.
#
#   PGXC_MATRIX_DIR=dir       where the roots are kept
#   PGXC_MATRIX_MIRROR=url    another mirror (on Ubuntu, for example)
#   PGXC_MATRIX_REFRESH=1     make the roots anew (sid moves on)
set -euo pipefail

# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

passed=0 failed=0 skipped=0

# result VERSION PASSED FAILED SKIPPED
result()
{
	summary+=("$1: $2 passed, $3 failed, $4 skipped")
	passed=$((passed + $2))
	failed=$((failed + $3))
	skipped=$((skipped + $4))
}

# skip VERSION WHY
skip()
{
	pgxc_note "$1 skipped: $2"
	result "$1" 0 0 1
}

suite_of()
{
	case $1 in
		17) echo trixie ;;
		18) echo sid ;;
		*) return 1 ;;
	esac
}

# The mirror this system uses for Debian itself.
mirror()
{
	local uri

	if [ -n "${PGXC_MATRIX_MIRROR:-}" ]; then
		echo "$PGXC_MATRIX_MIRROR"
		return
	fi
	for _ in 1 2; do
		# shellcheck disable=SC2016 # apt's variables
		uri=$(apt-get indextargets --format \
			'$(ORIGIN) $(CREATED_BY) $(RELEASE) $(REPO_URI)' 2>/dev/null |
			awk '$1 == "Debian" && $2 == "Packages" && $3 !~ /[-\/]/ { print $4; exit }')
		if [ -n "$uri" ]; then
			echo "$uri"
			return
		fi
		# A fresh image knows the origin of nothing before its first update.
		apt-get -qq update </dev/null >&2 || true
	done
	return 1
}

# Whatever apt needs here to reach the mirror, it needs inside as well.
apt_settings()
{
	apt-config dump Acquire |
		grep -Ei '::(Proxy|Proxy::[^ ]*|Check-Valid-Until|Check-Date|Retries) "[^"]' || true
}

# ---- making a root ----------------------------------------------------------

# A change of this list, or of make_root, must change the stamp.
packages()
{
	echo "postgresql-$1 postgresql-server-dev-$1 gcc make libc6-dev clang perl libipc-run-perl"
}

stamp()
{
	echo "1 $(suite_of "$1") $(packages "$1")"
}

# enter ROOT COMMAND...: in namespaces of its own, which take the mounts and
# every process along when the command ends, however it ends.
enter()
{
	local root=$1
	shift
	# shellcheck disable=SC2016 # expanded by that shell, not by this one
	exec env PGXC_ROOT="$root" PGXC_TMP="${PGXC_TMP:-}" setsid unshare --mount --pid --fork --kill-child --propagation private \
		sh -c '
			set -eu
			mount -t proc proc "$PGXC_ROOT/proc"
			mkdir -p "$PGXC_ROOT/dev/shm"
			mount -t tmpfs -o mode=1777 shm "$PGXC_ROOT/dev/shm"
			[ -z "$PGXC_TMP" ] || mount --bind "$PGXC_TMP" "$PGXC_ROOT/tmp"
			exec chroot "$PGXC_ROOT" env -i \
				PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
				HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
				PGXC_TEST_TIMEOUT="${PGXC_TEST_TIMEOUT:-}" \
				PGXC_PG_MAJOR="${PGXC_PG_MAJOR:-}" "$@"
		' inside "$@" </dev/null
}

inside()
{
	(enter "$@")
}

# make_root VERSION ROOT
make_root()
{
	local version=$1 root=$2 suite uri proxy

	suite=$(suite_of "$version")
	uri=$(mirror) || {
		echo "no Debian mirror among apt's sources, see PGXC_MATRIX_MIRROR"
		return 1
	}
	proxy=$(apt-config dump | sed -n 's/^Acquire::http::Proxy "\(.*\)";$/\1/Ip')
	rm -rf --one-file-system "$root"
	http_proxy=${http_proxy:-$proxy} unshare --mount --propagation private \
		debootstrap --variant=minbase \
		"$suite" "$root" "$uri" || return
	apt_settings >"$root/etc/apt/apt.conf.d/50from-outside"
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
	# No server of its own may be made or started in there.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	mkdir -p "$root/etc/postgresql-common/createcluster.d"
	echo 'create_main_cluster = false' \
		>"$root/etc/postgresql-common/createcluster.d/no-main.conf"
	inside "$root" apt-get -qq update || return
	inside "$root" apt-cache show "postgresql-$version" >/dev/null || {
		echo "$suite has no postgresql-$version (any more)"
		return 1
	}
	# shellcheck disable=SC2046 # a list of package names
	inside "$root" apt-get -qq -y --no-install-recommends install $(packages "$version") || return
	inside "$root" apt-get clean
	stamp "$version" >"$root/.pgxc-stamp"
}

# Sees to it that the root is there and complete; two checkouts may ask at once.
need_root()
{
	local version=$1 root=$2

	(
		flock 9
		if [ -z "${PGXC_MATRIX_REFRESH:-}" ] &&
			[ "$(cat "$root/.pgxc-stamp" 2>/dev/null)" = "$(stamp "$version")" ]; then
			exit 0
		fi
		pgxc_note "making a root for PostgreSQL $version in $root"
		rm -rf --one-file-system "$root"
		if make_root "$version" "$root.new" >"$root.log" 2>&1; then
			mv "$root.new" "$root"
		else
			tail -n 20 "$root.log" >&2
			rm -rf --one-file-system "$root.new"
			exit 1
		fi
	) 9>"$root.lock"
}

# ---- main -------------------------------------------------------------------

run_version()
{
	local version=$1 root=$2 outside line

	outside=$PGXC_WORK/$version
	mkdir -p "$outside"
	chmod 1777 "$outside"
	pgxc_copy_source "$outside/checkout"
	pgxc_note "testing with PostgreSQL $version"
	# In the background, because a signal would wait for a foreground job.
	(PGXC_TMP=$outside PGXC_PG_MAJOR=$version enter "$root" \
		bash /tmp/checkout/dev/test.sh build regress isolation tap) \
		>"$outside/log" 2>&1 &
	PGXC_GROUPS=("$!")
	# The exit status would only repeat what the last line says.
	wait "$!" || true
	PGXC_GROUPS=()
	cat "$outside/log"
	line=$(tail -n 1 "$outside/log")
	if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		result "$version" "${BASH_REMATCH[@]:1:3}"
	else
		pgxc_note "the tests with PostgreSQL $version ended early"
		result "$version" 0 1 0
	fi
	[ -n "${PGXC_KEEP:-}" ] || rm -rf "$outside"
}

[ $# -gt 0 ] || set -- 17 18
for version in "$@"; do
	suite_of "$version" >/dev/null || {
		echo "usage: dev/matrix.sh [17|18]..." >&2
		exit 2
	}
done

why=
if ! pgxc_is_root; then
	why="this needs root"
elif ! command -v apt-get >/dev/null; then
	why="this needs a Debian system"
elif ! unshare --mount --pid --fork true 2>/dev/null; then
	why="this needs to mount, which is not allowed here"
elif ! pgxc_want debootstrap; then
	why="there is no debootstrap"
fi
if [ -n "$why" ]; then
	pgxc_note "$why"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

summary=()
cache=${PGXC_MATRIX_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pgxc-matrix}
mkdir -p "$cache"
pgxc_work
for version in "$@"; do
	root=$cache/$version-$(suite_of "$version")
	if need_root "$version" "$root"; then
		run_version "$version" "$root"
	else
		skip "$version" "its root could not be made"
	fi
done
printf '\n'
printf '%s\n' "${summary[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
