package openflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	maxHello    = 4096  // bytes
	maxPorts    = 65536 // of one switch
	maxEarly    = 4096  // port changes during the handshake
	handshakeOK = 1 << version
)

// ErrVersion is a peer that does not speak OpenFlow 1.3.
var ErrVersion = errors.New("peer does not speak OpenFlow 1.3")

// Handshake agrees on OpenFlow 1.3 with the peer of an accepted connection, learns the switch's name and
// ports, and returns a Conn that is ready to Run. The time and the memory that a peer can take are bounded,
// whatever it sends. On an error the connection is closed.
func Handshake(ctx context.Context, nc net.Conn, o Options) (*Conn, error) {
	c := newConn(nc, o.withDefaults())
	deadline := time.Now().Add(c.o.HandshakeTimeout)
	err := nc.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	if err == nil {
		err = c.handshake()
	}
	if !stop() {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		err = fmt.Errorf("openflow handshake with %s: %w", nc.RemoteAddr(), err)
		c.fail(err)
		return nil, err
	}
	return c, nil
}

func (c *Conn) handshake() error {
	if err := c.agree(); err != nil {
		return err
	}
	features, ports := c.nextXID(1), c.nextXID(1)
	requests := append(featuresRequest(features), setConfig(c.nextXID(1))...)
	if _, err := c.nc.Write(append(requests, portDescRequest(ports)...)); err != nil {
		return err
	}
	known, complete := false, false
	for !known || !complete {
		f, err := c.next()
		if err != nil {
			return err
		}
		switch {
		case f.kind() == typeFeaturesReply && f.xid() == features:
			known, err = true, c.identify(f)
		case f.kind() == typeMultipartReply && f.xid() == ports:
			complete, err = c.describe(f)
		case f.kind() == typePortStatus:
			err = c.remember(f)
		case f.kind() == typeEchoRequest:
			f[1] = typeEchoReply
			_, err = c.nc.Write(f)
		case f.kind() == typeError:
			var refusal *Error
			if refusal, err = decodeError(f); err == nil {
				err = refusal
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) next() (frame, error) {
	f, room, err := readFrame(c.r, c.room)
	if err != nil {
		return nil, err
	}
	c.room = room
	if f.version() != version {
		return nil, fmt.Errorf("version %d after 1.3 was agreed on", f.version())
	}
	return f, nil
}

// agree exchanges HELLOs. What does not begin with a HELLO is refused by its first eight bytes.
func (c *Conn) agree() error {
	if _, err := c.nc.Write(hello(c.nextXID(1))); err != nil {
		return err
	}
	head, err := c.r.Peek(headerSize)
	if err != nil {
		return err
	}
	if n := int(head[2])<<8 | int(head[3]); head[1] != typeHello || head[0] == 0 || n > maxHello {
		return errors.New("this is not OpenFlow")
	}
	f, room, err := readFrame(c.r, c.room)
	if err != nil {
		return err
	}
	c.room = room
	offered, err := helloVersions(f)
	if err != nil {
		return err
	}
	if offered&handshakeOK == 0 {
		_, err := c.nc.Write(helloFailed(f.xid(), "only OpenFlow 1.3 is spoken here: set the bridge's protocols to include OpenFlow13"))
		return errors.Join(ErrVersion, err)
	}
	return nil
}

func (c *Conn) identify(f frame) error {
	features, err := decodeFeatures(f.body())
	if err == nil && features.auxiliary != 0 {
		err = errors.New("auxiliary connections are not used")
	}
	c.datapath = features.datapath
	return err
}

// describe takes one segment of the description of the ports, and says whether it was the last.
func (c *Conn) describe(f frame) (complete bool, err error) {
	s, err := decodeSegment(f.body())
	if err != nil {
		return false, err
	}
	if s.kind != multipartPortDesc {
		return false, fmt.Errorf("multipart reply of type %d to a request for ports", s.kind)
	}
	ports, err := decodePorts(s.body)
	c.ports = append(c.ports, ports...)
	if len(c.ports) > maxPorts {
		err = fmt.Errorf("more than %d ports", maxPorts)
	}
	return !s.more, err
}

// remember keeps a port's change that came before anyone listened, for Run to tell.
func (c *Conn) remember(f frame) error {
	reason, port, err := decodePortStatus(f.body())
	if err != nil {
		return err
	}
	if len(c.early) == maxEarly {
		return fmt.Errorf("more than %d port changes in a handshake", maxEarly)
	}
	c.early = append(c.early, portChange{reason, port})
	return nil
}
