package testbed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Lease is what a DHCP client told of the lease that it got.
type Lease struct {
	Address    netip.Prefix
	Router     string
	DNS        []string
	MTU        int
	Server     netip.Addr
	Duration   time.Duration
	Hostname   string
	Routes     string            // option 121 in the client's own words
	Acquired   time.Duration     // from the client's start to the lease
	Asked      int               // messages that the client sent: 2 when each was answered within a second
	Everything map[string]string // all that the client passed to its script
}

// Client is a DHCP client program.
type Client string

// The clients that are tried. Their default scripts would rewrite the machine's resolv.conf; they never run.
const (
	Udhcpc   Client = "udhcpc"
	Dhclient Client = "dhclient"
)

// leaseScript configures eth0 as a client's usual script would, leaves /etc alone, and writes what it was
// told. udhcpc passes the event as $1, dhclient as $reason. Option 121 is heeded as udhcpc passes it.
const leaseScript = `#!/bin/sh
event=${1:-$reason}
case $event in
deconfig|PREINIT) ip link set "$interface" up; exit 0 ;;
bound|renew) address=$ip/$mask gateway=${router%% *} mtu=$mtu ;;
BOUND|RENEW|REBIND|REBOOT)
	address=$new_ip_address/$new_subnet_mask gateway=${new_routers%% *} mtu=$new_interface_mtu ;;
nak|EXPIRE|FAIL|RELEASE|STOP|TIMEOUT) ip address flush dev "$interface"; exit 0 ;;
*) exit 0 ;;
esac
ip address flush dev "$interface"
ip address add "$address" dev "$interface"
if [ -n "$mtu" ]; then ip link set "$interface" mtu "$mtu"; fi
if [ -n "$gateway" ]; then ip route replace default via "$gateway" dev "$interface"; fi
set -- $staticroutes
while [ $# -ge 2 ]; do
	via="via $2"
	if [ "$2" = 0.0.0.0 ]; then via=; fi
	ip route replace "$1" $via dev "$interface"
	shift 2
done
env > "$LEASE_FILE.new" && mv "$LEASE_FILE.new" "$LEASE_FILE"
`

const dhclientConf = `option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request subnet-mask, routers, domain-name-servers, interface-mtu, host-name, rfc3442-classless-static-routes;
timeout 20;
retry 1;
initial-interval 1;
`

// DHCP runs a client on eth0 until it has a lease, which is then configured in the guest, or the limit is
// reached. The client does not stay. extra is passed to the client.
func (vm *VM) DHCP(ctx context.Context, client Client, limit time.Duration, extra ...string) (*Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := os.MkdirAll(vm.dir, 0o755); err != nil {
		return nil, err
	}
	script, conf := filepath.Join(vm.dir, "lease.sh"), filepath.Join(vm.dir, "dhclient.conf")
	lease := filepath.Join(vm.dir, "lease")
	err := errors.Join(os.WriteFile(script, []byte(leaseScript), 0o755), os.WriteFile(conf, []byte(dhclientConf), 0o644))
	for _, old := range []string{lease, vm.dir + "/dhclient.leases"} {
		if gone := os.Remove(old); !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	if err != nil {
		return nil, err
	}
	args := []string{"udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", script, "-t", "10", "-T", "1",
		"-O", "mtu", "-O", "staticroutes", "-O", "hostname", "-O", "lease", "-O", "dns", "-O", "router"}
	if client == Dhclient {
		args = []string{"dhclient", "-d", "-1", "-4", "-sf", script, "-cf", conf, "-lf", vm.dir + "/dhclient.leases",
			"-pf", vm.dir + "/dhclient.pid", "-e", "LEASE_FILE=" + lease}
	}
	args = append(args, extra...)
	if client == Dhclient {
		args = append(args, "eth0")
	}
	wire, err := vm.Tap()
	if err != nil {
		return nil, err
	}
	defer wire.Close()
	start := time.Now()
	said, err := vm.runClient(ctx, lease, args)
	if _, missing := os.Stat(lease); missing != nil {
		return nil, fmt.Errorf("%s on %s got no lease in %v: %w; kinds of answers that reached it: %v\n%s", client, vm.Name, time.Since(start).Round(time.Millisecond), errors.Join(err, errNoLease), answers(wire), said)
	}
	took := time.Since(start)
	l, err := readLease(lease)
	if err == nil {
		l.Acquired, l.Asked = took, len(asking.FindAllString(said, -1))
	}
	return l, err
}

var errNoLease = errors.New("the client has given up or was ended")

// answers are the kinds of DHCP messages (option 53, which servers put first) that a Wire has heard: 2 is an offer, 5 an ACK, 6 a NAK.
func answers(w *Wire) (kinds []byte) {
	const udpPorts, kind = 34, 14 + 20 + 8 + 240
	w.Count(func(f []byte) bool {
		is := len(f) > kind+2 && f[udpPorts] == 0 && f[udpPorts+1] == 67 && f[kind] == 53
		if is {
			kinds = append(kinds, f[kind+2])
		}
		return is
	})
	return kinds
}

// runClient runs a client in a mount namespace of its own where /etc/resolv.conf is a scratch file, and ends
// it as soon as the lease file is there.
func (vm *VM) runClient(ctx context.Context, lease string, args []string) (said string, err error) {
	scratch := filepath.Join(vm.dir, "resolv.conf")
	if err := os.WriteFile(scratch, nil, 0o644); err != nil {
		return "", err
	}
	args = append([]string{"--mount", "sh", "-ec", `mount --bind "$0" /etc/resolv.conf; exec "$@"`, scratch}, args...)
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), "LEASE_FILE="+lease)
	log := filepath.Join(vm.dir, "dhcp.log")
	_ = os.Remove(log)
	p, err := vm.lab.spawn(vm.NS, args[5]+" of "+vm.Name, log, cmd)
	if err != nil {
		return "", err
	}
	err = Await(ctx, time.Hour, "lease", func() error {
		if _, err := os.Stat(lease); err == nil || !p.Alive() {
			return nil
		}
		return errors.New("the client is still asking")
	})
	p.Kill()
	return Tail(log, 12), err
}

// asking matches what the clients print when they send a message.
var asking = regexp.MustCompile(`broadcasting (discover|select)|DHCP(DISCOVER|REQUEST) (on|for)`)

func readLease(path string) (*Lease, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), "="); ok {
			e[k] = v
		}
	}
	either := func(udhcpc, dhclient string) string {
		if v, ok := e[udhcpc]; ok {
			return v
		}
		return e[dhclient]
	}
	l := &Lease{Router: either("router", "new_routers"), DNS: strings.Fields(either("dns", "new_domain_name_servers")),
		Hostname: either("hostname", "new_host_name"), Routes: either("staticroutes", "new_rfc3442_classless_static_routes"), Everything: e}
	if s := either("mtu", "new_interface_mtu"); s != "" {
		if l.MTU, err = strconv.Atoi(s); err != nil {
			return nil, err
		}
	}
	seconds, err := strconv.Atoi(either("lease", "new_dhcp_lease_time"))
	if err != nil {
		return nil, fmt.Errorf("lease time: %w", err)
	}
	l.Duration = time.Duration(seconds) * time.Second
	if l.Server, err = netip.ParseAddr(either("serverid", "new_dhcp_server_identifier")); err != nil {
		return nil, err
	}
	addr, err := netip.ParseAddr(either("ip", "new_ip_address"))
	if err != nil {
		return nil, err
	}
	mask, err := netip.ParseAddr(either("subnet", "new_subnet_mask"))
	if err != nil {
		return nil, err
	}
	bits := 0
	for _, b := range mask.AsSlice() {
		for ; b != 0; b <<= 1 {
			bits++
		}
	}
	l.Address = netip.PrefixFrom(addr, bits)
	return l, nil
}
