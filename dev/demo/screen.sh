# shellcheck shell=bash
# What the demo shows.  On a terminal the progress is redrawn in place; into a
# pipe or a file it is a plain line every couple of seconds.

screen_lines=0
screen_width=80
screen_live=no
if [[ -t 1 && ${TERM:-dumb} != dumb ]]; then
	screen_live=yes
	# The terminal's own answer; stdin may be something else.
	if size=$(stty size <&1 2>/dev/null) && [[ $size =~ ^[0-9]+\ ([0-9]+)$ ]] && ((BASH_REMATCH[1] > 20)); then
		screen_width=${BASH_REMATCH[1]}
	fi
fi

say()
{
	screen_lines=0
	printf '%s\n' "$*"
}

# A heading with the seconds since the start, so that one sees where time goes.
step()
{
	screen_lines=0
	printf '\n[%3d s] %s\n' "$((SECONDS - ${demo_started:-0}))" "$*"
}

# screen_bar PERCENT WIDTH
screen_bar()
{
	local percent=${1%.*} width=$2 full hashes dashes
	full=$((percent * width / 100))
	((full <= width)) || full=$width
	printf -v hashes '%*s' "$full" ''
	printf -v dashes '%*s' "$((width - full))" ''
	printf '[%s%s]' "${hashes// /#}" "${dashes// /.}"
}

# screen_draw LINE...: draws over the lines of the call before.
screen_draw()
{
	local line
	if ((screen_lines > 0)); then
		printf '\033[%dA' "$screen_lines"
	fi
	for line in "$@"; do
		# A wrapped line would spoil the count of lines to go up.
		printf '\033[K%s\n' "${line:0:screen_width - 1}"
	done
	screen_lines=$#
}

# screen_progress APP SECONDS MIGRATION...: each migration is a line of status.sql.
screen_progress()
{
	local app=$1 seconds=$2 migration lines=()
	local name state stage percent rows rate eta duty chunk wait error
	shift 2
	for migration in "$@"; do
		IFS=$'\x1f' read -r name state stage percent rows rate eta duty chunk wait error _ <<<"$migration"
		local todo='' pace=''
		if [[ $state == finished ]]; then
			todo="$rows rows, done and verified"
		else
			[[ $state == running ]] || todo="$state  "
			todo+="$stage  $rate rows/s${eta:+  eta $eta}"
			pace="${duty:+  duty $duty%}${chunk:+  chunk $chunk ms}${wait:+  waits for: $wait}"
		fi
		if [[ $screen_live == yes ]]; then
			lines+=("$(printf '  %-9s %s %5s%%  %s' "$name" "$(screen_bar "$percent" 20)" "$percent" "$todo")")
			lines+=("          $pace${error:+  error: $error}")
		else
			lines+=("$(printf '%5.1f s  %-9s %5s%%  %s%s%s' "$seconds" "$name" "$percent" "$todo" \
				"$pace" "${error:+  error: $error}")")
		fi
	done
	if [[ $screen_live == yes ]]; then
		screen_draw "${lines[@]}" "  application  $app"
	else
		printf '  %s\n' "${lines[@]}"
		printf '  %5.1f s  application  %s\n' "$seconds" "$app"
	fi
}

# table_row LABEL CELL...
table_row()
{
	local label=$1 cell
	shift
	printf '  %-32s' "$label"
	for cell in "$@"; do
		printf ' %14s' "$cell"
	done
	printf '\n'
}
