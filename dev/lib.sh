# shellcheck shell=bash
# dev/lib.sh: what the scripts in dev/ and bench/ have in common.
#
# Source it; it defines functions and changes no shell options.  Everything it
# makes lives in one private work directory ($PGXC_WORK), which disappears at
# exit together with every server that was started below it, so that two
# checkouts, or two runs in one checkout, never meet.
#
#   PGXC_PG_MAJOR=17   server version to use (default: the newest that is here)
#   PG_CONFIG=path     use this installation instead of Debian's packages
#   PGXC_KEEP=1        keep the work directory at exit (servers stop anyway)

PGXC_OLDEST_MAJOR=15
PGXC_JOBS=${PGXC_JOBS:-$(nproc 2>/dev/null || echo 1)}

# A user's own connection settings must never lead a test to another server.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGSERVICE PGSERVICEFILE \
	PGDATA PGOPTIONS PGPASSFILE PGPASSWORD PGAPPNAME PGCLIENTENCODING

pgxc_note()
{
	printf '%s\n' "pgxc: $*" >&2
}

pgxc_root()
{
	(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
}

# ---- packages -------------------------------------------------------------

pgxc_is_root()
{
	[ "$(id -u)" -eq 0 ]
}

pgxc_sudo()
{
	if pgxc_is_root; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# Prints those of the packages that are not installed.
pgxc_missing()
{
	local package
	for package in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
			installed) ;;
			*) printf '%s\n' "$package" ;;
		esac
	done
}

# Debian's PostgreSQL packages create and start a cluster of their own, and
# start those that the administrator had stopped.  Both are prevented for the
# time of our installation only, and the administrator's files stay untouched.
pgxc_apt_install()
{
	# shellcheck disable=SC2016 # expanded by that shell, not by this one
	pgxc_sudo env DEBIAN_FRONTEND=noninteractive sh -c '
		set -eu
		dropin=/etc/postgresql-common/createcluster.d/zz-pgxc-no-main.conf
		policy=/usr/sbin/policy-rc.d
		own_policy=
		own_dir=
		tidy()
		{
			rm -f "$dropin"
			[ -z "$own_dir" ] || rmdir "${dropin%/*}" 2>/dev/null || :
			[ -z "$own_policy" ] || rm -f "$policy"
		}
		trap tidy EXIT
		trap "exit 1" HUP INT TERM
		[ -d "${dropin%/*}" ] || own_dir=1
		mkdir -p "${dropin%/*}"
		echo "create_main_cluster = false" >"$dropin"
		if [ ! -e "$policy" ]; then
			own_policy=1
			printf "#!/bin/sh\nexit 101\n" >"$policy"
			chmod 755 "$policy"
		fi
		apt-get -qq update </dev/null ||
			echo "pgxc: apt-get update failed, trying with the lists at hand" >&2
		apt-get -qq -y --no-install-recommends \
			-o DPkg::Lock::Timeout=300 install "$@" </dev/null >/dev/null
	' pgxc-install "$@" >&2
}

# Installs what is missing if it may.  False if something remains missing.
pgxc_want()
{
	local missing

	if ! command -v dpkg-query >/dev/null; then
		pgxc_note "not a Debian system: assuming that $* are here"
		return 0
	fi
	missing=$(pgxc_missing "$@" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	if ! pgxc_is_root && ! sudo -n true 2>/dev/null; then
		pgxc_note "missing packages: $missing"
		return 1
	fi
	pgxc_note "installing $missing"
	# shellcheck disable=SC2086 # a list of package names
	pgxc_apt_install $missing || {
		pgxc_note "could not install $missing"
		return 1
	}
}

pgxc_need()
{
	pgxc_want "$@" || exit 1
}

# The newest server version installed, or else the newest that apt offers.
pgxc_pg_major()
{
	local major bindir

	if [ -n "${PGXC_PG_MAJOR:-}" ]; then
		echo "$PGXC_PG_MAJOR"
		return
	fi
	{
		for bindir in /usr/lib/postgresql/*/bin; do
			[ -x "$bindir/postgres" ] || continue
			major=${bindir#/usr/lib/postgresql/}
			printf '%s\n' "${major%%/*}"
		done
	} | pgxc_newest_major && return
	# In a fresh image apt knows no packages until its first update.
	if [ -z "$(pgxc_offered_majors)" ] && pgxc_is_root; then
		apt-get -qq update </dev/null >&2 || true
	fi
	pgxc_offered_majors | pgxc_newest_major && return
	pgxc_note "no PostgreSQL $PGXC_OLDEST_MAJOR or later, installed or in apt"
	return 1
}

pgxc_offered_majors()
{
	apt-cache search --names-only '^postgresql-server-dev-[0-9]+$' 2>/dev/null |
		sed -n 's/^postgresql-server-dev-\([0-9]*\) .*/\1/p'
}

pgxc_newest_major()
{
	awk -v oldest="$PGXC_OLDEST_MAJOR" '
		/^[0-9]+$/ && $1 + 0 >= oldest && $1 + 0 > newest { newest = $1 + 0 }
		END { if (!newest) exit 1; print newest }'
}

# Sees to it that a server to build against and run is here; sets PG_CONFIG.
pgxc_need_server()
{
	local major

	if [ -n "${PG_CONFIG:-}" ]; then
		PG_CONFIG=$(command -v "$PG_CONFIG") || {
			pgxc_note "PG_CONFIG is not a program"
			exit 1
		}
	else
		major=$(pgxc_pg_major) || exit 1
		pgxc_need "postgresql-$major" "postgresql-server-dev-$major" \
			gcc make libc6-dev libipc-run-perl
		PG_CONFIG=/usr/lib/postgresql/$major/bin/pg_config
	fi
	export PG_CONFIG
}

# ---- the unprivileged user and the work directory --------------------------

# A server refuses to run as root, so root runs everything as somebody else.
pgxc_user()
{
	if ! pgxc_is_root; then
		id -un
		return
	fi
	if id postgres >/dev/null 2>&1; then
		echo postgres
		return
	fi
	id pgxc-dev >/dev/null 2>&1 ||
		useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin pgxc-dev
	echo pgxc-dev
}

# setpriv rather than runuser: it replaces itself by the command, so that
# signals and process groups work as if it were not there.
pgxc_exec_as_user()
{
	local user

	if pgxc_is_root; then
		user=$(pgxc_user)
		exec env HOME="${PGXC_WORK:-/nonexistent}" USER="$user" LOGNAME="$user" \
			setpriv --reuid "$user" --regid "$(id -g "$user")" \
			--init-groups -- "$@"
	else
		exec "$@"
	fi
}

pgxc_as_user()
{
	(pgxc_exec_as_user "$@")
}

# Makes $PGXC_WORK once.  Its path must be short: a socket path ends at 107
# bytes, and the test drivers append some 40 of their own.
pgxc_work()
{
	local base=${TMPDIR:-/tmp}

	[ -z "${PGXC_WORK:-}" ] || return 0
	if [ ${#base} -gt 40 ] || ! pgxc_as_user test -x "$base"; then
		base=/tmp
	fi
	trap pgxc_cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	PGXC_WORK=$(mktemp -d "$base/pgxc.XXXXXX")
	mkdir "$PGXC_WORK/tmp"
	if pgxc_is_root; then
		chown -R "$(pgxc_user):" "$PGXC_WORK"
	fi
	export TMPDIR=$PGXC_WORK/tmp
}

# Background jobs that cleanup has to end: leaders of their own process groups.
PGXC_GROUPS=()

pgxc_cleanup()
{
	local status=$? group pidfile

	trap - EXIT
	trap '' HUP INT TERM
	# Nothing may end this early; find fails where it can't come back to.
	set +e
	cd / || true
	for group in "${PGXC_GROUPS[@]}"; do
		kill -TERM -- "-$group" 2>/dev/null || true
	done
	for group in "${PGXC_GROUPS[@]}"; do
		for _ in $(seq 100); do
			kill -0 -- "-$group" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL -- "-$group" 2>/dev/null || true
		wait "$group" 2>/dev/null || true
	done
	if [ -n "${PGXC_WORK:-}" ]; then
		find "$PGXC_WORK" -name postmaster.pid 2>/dev/null |
			while IFS= read -r pidfile; do
				pgxc_stop_data "${pidfile%/*}" immediate
			done
		if [ -n "${PGXC_KEEP:-}" ]; then
			pgxc_note "kept $PGXC_WORK"
		else
			rm -rf "$PGXC_WORK"
		fi
	fi
	exit "$status"
}

pgxc_stop_data()
{
	local data=$1 mode=$2 pid

	pid=$(sed -n 1p "$data/postmaster.pid" 2>/dev/null) || return 0
	# The file outlives a crashed server: make sure that the process is one.
	[ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$data" ] || return 0
	(cd / && pgxc_as_user "$("$PG_CONFIG" --bindir)/pg_ctl" -D "$data" \
		-m "$mode" -t 60 -w stop >/dev/null 2>&1) ||
		! kill -0 "$pid" 2>/dev/null || {
		pgxc_note "the server in $data does not stop: killing process $pid"
		kill -KILL "$pid" 2>/dev/null || true
	}
}

# ---- building ---------------------------------------------------------------

# pgxc_copy_source DEST: the checkout, or the unpacked archive, as it is now.
# The build happens in the copy because the unprivileged user may be unable to
# read the original, and because a build should leave no trace in it.
pgxc_copy_source()
{
	local root dest=$1

	root=$(pgxc_root)
	mkdir -p "$dest"
	if [ -e "$root/.git" ] && command -v git >/dev/null &&
		git -c safe.directory="$root" -C "$root" rev-parse >/dev/null 2>&1; then
		# A file deleted but not yet committed is still listed: leave it out.
		# shellcheck disable=SC2016 # expanded by that shell, not by this one
		git -c safe.directory="$root" -C "$root" ls-files -z \
			--cached --others --exclude-standard |
			(cd "$root" && xargs -0 -r sh -c '
				for file; do
					[ ! -e "$file" ] || printf "%s\0" "$file"
				done' sh) |
			tar -C "$root" --null --no-recursion -T - -cf - |
			tar -C "$dest" --no-same-owner -xf -
	else
		tar -C "$root" --exclude=./.git -cf - . |
			tar -C "$dest" --no-same-owner -xf -
	fi
	chmod -R u+rwX,go+rX "$dest"
	if pgxc_is_root; then
		chown -R "$(pgxc_user):" "$dest"
	fi
}

# pgxc_make SRC PG_CONFIG [COPT [CC]]
#
# No bitcode: it needs a clang of the very version the server was built with,
# and nothing here uses it.
pgxc_make()
{
	local src=$1 pg_config=$2 copt=${3:-} cc=${4:-}

	(cd "$src" && pgxc_as_user make -s -j "$PGXC_JOBS" \
		PG_CONFIG="$pg_config" with_llvm=no COPT="$copt" ${cc:+CC="$cc"})
}

# pgxc_build SRC DEST PG_CONFIG [CFLAGS]: builds SRC, installs below DEST.
pgxc_build()
{
	local src=$1 dest=$2 pg_config=$3 copt=${4:-}

	pgxc_make "$src" "$pg_config" "$copt" || return
	(cd "$src" && pgxc_as_user make -s install PG_CONFIG="$pg_config" \
		with_llvm=no COPT="$copt" DESTDIR="$dest")
}

# pgxc_conf DEST PG_CONFIG: settings with which a server finds the build in
# DEST although it is not installed.  Upstream can do that since 18; Debian's
# packages have had a setting of their own before, so ask the program.
pgxc_conf()
{
	local dest=$1 pg_config=$2 postgres libdir sharedir

	postgres=$("$pg_config" --bindir)/postgres
	libdir=$("$pg_config" --pkglibdir)
	sharedir=$("$pg_config" --sharedir)
	echo "shared_preload_libraries = 'pgxc'"
	echo "dynamic_library_path = '$dest$libdir:\$libdir'"
	if grep -aqF extension_control_path "$postgres"; then
		echo "extension_control_path = '$dest$sharedir:\$system'"
	elif grep -aqF extension_destdir "$postgres"; then
		echo "extension_destdir = '$dest'"
	else
		pgxc_note "this server can only use an extension that is installed"
		return 1
	fi
}

# ---- a server ---------------------------------------------------------------

# pgxc_server_start DIR: makes a cluster in DIR (which must be below $PGXC_WORK
# and may exist already: then it is started again) with the settings on stdin
# added, starts it, and points PGHOST, PGPORT, PGUSER and PGDATABASE at it.
# Give it a here-document or </dev/null: behind a pipe it would be a subshell,
# and the variables lost.
pgxc_server_start()
{
	local dir=$1 bindir extra

	bindir=$("$PG_CONFIG" --bindir)
	extra=
	[ -t 0 ] || extra=$(cat)
	mkdir -p "$dir"
	if pgxc_is_root; then
		chown "$(pgxc_user):" "$dir"
	fi
	chmod 700 "$dir"
	if [ ! -d "$dir/data" ]; then
		(cd "$dir" && pgxc_as_user "$bindir/initdb" -D "$dir/data" --no-sync \
			-A trust -U postgres --no-locale --encoding=UTF8 >"$dir/initdb.log") || {
			cat "$dir/initdb.log" >&2
			return 1
		}
		{
			echo "listen_addresses = ''"
			echo "unix_socket_directories = '$(pgxc_socket_dir "$dir")'"
			echo "port = 5432"
		} >>"$dir/data/postgresql.conf"
	fi
	printf '%s\n' "$extra" >>"$dir/data/postgresql.conf"
	(cd "$dir" && pgxc_as_user "$bindir/pg_ctl" -D "$dir/data" \
		-l "$dir/server.log" -t 120 -w start >/dev/null </dev/null) || {
		tail -n 30 "$dir/server.log" >&2
		return 1
	}
	PGHOST=$(pgxc_socket_dir "$dir")
	export PGHOST PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

# A socket path has at most 107 bytes, so it does not depend on DIR's length.
pgxc_socket_dir()
{
	local parent=$PGXC_WORK/s socket_dir

	socket_dir=$parent/$(basename "$1")
	if [ ! -d "$socket_dir" ]; then
		mkdir -p "$socket_dir"
		chmod 700 "$socket_dir"
		if pgxc_is_root; then
			chown "$(pgxc_user):" "$parent" "$socket_dir"
		fi
	fi
	printf '%s\n' "$socket_dir"
}

pgxc_server_stop()
{
	[ ! -e "$1/data/postmaster.pid" ] || pgxc_stop_data "$1/data" "${2:-fast}"
}
