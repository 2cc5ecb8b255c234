#!/bin/sh
# Installs what the demo and the tests stand on, where it is missing, through apt. It does nothing and
# needs no privilege when all is there. It starts no service: the machine's own Open vSwitch and
# PostgreSQL, if they are new, stay off; the testbed runs private ones.
set -eu
PATH=$PATH:/usr/sbin:/sbin

# command:package. Programs that Debian keeps out of PATH are looked for below.
needed='
ovs-vswitchd:openvswitch-switch
ovsdb-server:openvswitch-switch
ovs-ofctl:openvswitch-switch
psql:postgresql-client
ip:iproute2
ping:iputils-ping
ethtool:ethtool
iperf3:iperf3
udhcpc:udhcpc
dhclient:isc-dhcp-client
tcpdump:tcpdump
curl:curl
jq:jq
gcc:gcc
keystone-manage:python3-keystone
openstack:python3-openstackclient
'

missing=
for pair in $needed; do
	command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
set -- /usr/lib/postgresql/*/bin/initdb
if [ ! -x "$1" ] && ! [ -x "$(pg_config --bindir 2>/dev/null)/initdb" ]; then
	missing="$missing postgresql"
fi
# The race detector links against the C library.
if command -v gcc >/dev/null 2>&1 && [ ! -e /usr/include/stdlib.h ]; then
	missing="$missing libc6-dev"
fi
case $missing in *" gcc"*) missing="$missing libc6-dev" ;; esac
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')

if [ -z "${missing%% }" ]; then
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "install: missing: $missing" >&2
	echo "install: there is no apt here; install them in this system's way and run again" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "install: missing: $missing" >&2
	echo "install: as root, run: apt-get install $missing" >&2
	exit 1
fi

echo "install: installing $missing"
# While this policy stands, packages start no service (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get -qq update && apt-get -qq install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	cat "$log" >&2
	echo "install: apt could not install: $missing (its own words are above; $log)" >&2
	exit 1
fi
rm -f "$log"
