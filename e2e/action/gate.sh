#!/bin/sh
# Runs `failover run` as a gate of a pipeline: the exit code is the verdict (0 pass, 1 fail, 2 bad input, 3 inconclusive),
# and where GITHUB_OUTPUT is set it gets `exit-code`, `verdict` and `report`. Annotations and the summary of the step are
# written by the harness itself.
#
# FAILOVER is the program (default: failover, by PATH), FAILOVER_CONFIG a failover.toml or empty, FAILOVER_ARGS further
# arguments, split at spaces outside of quotes, FAILOVER_OUT the folder for the report (default: failover-report).
set -eu

program=${FAILOVER:-failover}
out=${FAILOVER_OUT:-failover-report}
config=${FAILOVER_CONFIG:-}
words=$(printf '%s' "${FAILOVER_ARGS:-}" | xargs -n 1 printf '%s\n') || {
	echo "gate.sh: FAILOVER_ARGS=$FAILOVER_ARGS: a quote is not closed" >&2
	exit 2
}

set -- run --out "$out"
[ -z "$config" ] || set -- "$@" --config "$config"
while IFS= read -r word; do
	[ -z "$word" ] || set -- "$@" "$word"
done <<END
$words
END

code=0
"$program" "$@" || code=$?
case $code in
0) verdict=PASS ;;
1) verdict=FAIL ;;
3) verdict=INCONCLUSIVE ;;
*) verdict= ;;
esac
if [ -n "${GITHUB_OUTPUT:-}" ]; then
	{
		echo "exit-code=$code"
		echo "verdict=$verdict"
		# A run that did not get as far as a report has left nothing to keep.
		[ ! -d "$out" ] || echo "report=$out"
	} >>"$GITHUB_OUTPUT"
fi
exit "$code"
