package controller

import (
	"cmp"
	"context"
	"maps"
	"net"
	"reflect"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/controller/openflow"
	"github.com/signalbox-sdn/signalbox/ovsdb"
)

// How long a switch waits to be written to while its host's OVSDB has not been heard: the switch
// forwards as before meanwhile. A host that has never had one waits only for the first attempt to dial.
const (
	managerPatience = 5 * time.Second
	dialTimeout     = time.Second
	dialEvery       = 3 * time.Second
)

// manager is one connection to a host's OVSDB.
type manager struct {
	client *ovsdb.Client
	peer   string
}

// dialManager keeps an OVSDB connection to the host of a switch, at the address that the switch
// connects from, for as long as the switch is connected and no other OVSDB connection serves.
func (c *Controller) dialManager(ctx context.Context, h *host, conn *openflow.Conn) {
	ready := func(l *loop) { l.becomeReady(h) }
	patience := time.AfterFunc(managerPatience, func() { c.post(ctx, ready) })
	defer patience.Stop()
	ip, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		c.post(ctx, ready)
		return
	}
	address := net.JoinHostPort(ip, strconv.Itoa(c.cfg.OVSDBPort))
	for {
		var served, managed bool
		c.ask(ctx, func(*loop) { served, managed = h.manager != nil, h.row.Managed })
		if !served {
			if client, err := dial(ctx, address); err == nil {
				c.runManager(ctx, client, address, conn.DatapathID())
			} else if !managed {
				c.post(ctx, ready)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(dialEvery):
		}
	}
}

func dial(ctx context.Context, address string) (*ovsdb.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return ovsdb.Dial(ctx, "tcp", address)
}

// serveManager is the life of one connection that a host's OVSDB has made to us.
func (c *Controller) serveManager(ctx context.Context, nc net.Conn) {
	c.runManager(ctx, ovsdb.New(nc), nc.RemoteAddr().String(), 0)
}

// runManager follows one OVSDB until its connection ends. expect is the datapath id that the host must
// have; 0: whichever it is.
func (c *Controller) runManager(ctx context.Context, client *ovsdb.Client, peer string, expect signalbox.DatapathID) {
	log := c.log.With("peer", peer)
	m := &manager{client: client, peer: peer}
	heard := false
	err := client.Run(ctx, func(s ovsdb.State) {
		if expect != 0 && s.DatapathID != 0 && s.DatapathID != expect {
			log.Warn("the OVSDB at the switch's address belongs to another switch", "datapath", s.DatapathID, "expected", expect)
			client.Close()
			return
		}
		if !heard {
			heard = true
			log.Info("OVSDB connected", "hostname", s.Hostname, "datapath", s.DatapathID, "version", s.OVSVersion)
		}
		// The ports first, so that what the loop hears of next has them.
		if err := client.Ensure(ctx, c.want(s)); err != nil && ctx.Err() == nil {
			log.Warn("making the host's ports", "error", err)
		}
		c.ask(ctx, func(l *loop) { l.heard(m, s) })
	})
	if !heard && ctx.Err() == nil {
		c.metrics.refused.Inc()
		log.Warn("refused an OVSDB connection", "error", err)
	}
	c.tell(func(l *loop) { l.unheard(m) })
}

// want is what a host's OVSDB should hold of ours: nothing but what the host says and the settings.
func (c *Controller) want(s ovsdb.State) ovsdb.Want {
	w := ovsdb.Want{Patches: s.Mappings}
	if s.TunnelIP.IsValid() {
		w.Tunnels, w.LocalIP = c.cfg.TunnelTypes, s.TunnelIP
	}
	return w
}

// heard takes a whole state of a host's OVSDB. Where its switch is not there yet, the state waits for it.
func (l *loop) heard(m *manager, s ovsdb.State) {
	h := l.hosts[s.DatapathID]
	if h == nil || h.conn == nil || h.manager != nil && h.manager != m {
		l.unheard(m)
		l.early[m] = s
		return
	}
	delete(l.early, m)
	h.manager = m
	h.version, h.said = s.OVSVersion, s.Problems
	if row := rowOf(h.row, s); !reflect.DeepEqual(row, h.row) {
		h.row, h.stale, l.gateways.stale = row, true, true
		l.writer.saveHost(row)
	}
	l.takeInterfaces(h, s)
	l.becomeReady(h)
}

// unheard ends what an OVSDB connection said: the interfaces are believed to be as they were.
func (l *loop) unheard(m *manager) {
	delete(l.early, m)
	for _, h := range l.hosts {
		if h.manager == m {
			h.manager, h.listed = nil, nil
			h.stale = true
		}
	}
}

// rowOf is a host's row with what OVSDB says of the host.
func rowOf(row signalbox.Host, s ovsdb.State) signalbox.Host {
	for _, name := range []string{row.DatapathID.String(), s.SystemID, s.Hostname} {
		if name != "" {
			row.Name = name
		}
	}
	row.Managed, row.TunnelIP, row.Datapath = true, s.TunnelIP, cmp.Or(s.DatapathType, "system") // as OVS takes ""
	if !maps.Equal(row.Mappings, s.Mappings) {
		row.Mappings = s.Mappings
	}
	return row
}

// takeInterfaces takes what OVSDB says of every interface. What has changed since it was last heard is
// news, and may move a port here; what the first words after our start say is of unknown age.
func (l *loop) takeInterfaces(h *host, s ovsdb.State) {
	news := h.told
	h.told = true
	listed, notVIF := make(map[string]bool, len(s.Interfaces)), map[string]bool{}
	stated := make(map[string]uuid.UUID, len(s.Interfaces))
	for _, i := range s.Interfaces {
		listed[i.Name] = true
		if i.InterfaceID != uuid.Nil {
			stated[i.Name] = i.InterfaceID
		}
		if i.Ours || i.Type == "patch" || i.Options["remote_ip"] != "" {
			notVIF[i.Name] = true
		}
	}
	if !maps.Equal(listed, h.listed) {
		h.listed, h.stale = listed, true
	}
	if !maps.Equal(notVIF, h.notVIF) {
		h.notVIF = notVIF
		l.reclassify(h)
	}
	if !maps.Equal(stated, h.stated) {
		h.setStated(stated)
		for name, v := range h.vifs {
			if v.stated != stated[name] {
				v.stated = stated[name]
				l.identify(h, v, news)
			}
		}
	}
	if !news {
		l.identifyAll(h)
	}
}

// reclassify moves ports that turn out to be tunnels or patches, or not to be, to where they belong.
func (l *loop) reclassify(h *host) {
	for name, v := range h.vifs {
		if h.notVIF[name] {
			l.unplugged(h, v)
			h.other[name] = v.ofport
		}
	}
}

func (h *host) setStated(stated map[string]uuid.UUID) {
	h.stated = stated
	clear(h.naming)
	for name, id := range stated {
		if h.naming[id] == nil {
			h.naming[id] = map[string]struct{}{}
		}
		h.naming[id][name] = struct{}{}
	}
}
