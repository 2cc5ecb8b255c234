package openflow

import (
	"bytes"
	"fmt"
)

// dispatch acts on one message. An error means that the peer does not speak OpenFlow, and ends the
// connection; messages of kinds that nobody asked for are passed over.
func (c *Conn) dispatch(f frame, h Handler) error {
	if f.version() != version {
		return fmt.Errorf("version %d in the middle of a 1.3 session", f.version())
	}
	switch f.kind() {
	case typeEchoRequest:
		c.answerEcho(f)
	case typeError:
		e, err := decodeError(f)
		if err != nil {
			return err
		}
		if !c.refused(e) {
			h.SwitchError(e)
		}
	case typePacketIn:
		p, err := decodePacketIn(f.body())
		if err != nil {
			return err
		}
		h.PacketIn(p)
	case typePortStatus:
		reason, port, err := decodePortStatus(f.body())
		if err != nil {
			return err
		}
		h.PortStatus(reason, port)
	case typeMultipartReply:
		return c.multipartReply(f, h)
	case typeRoleReply:
		if err := c.roleIs(f.body(), h); err != nil {
			return err
		}
		return c.answered(f.xid(), f.body())
	case typeBarrierReply:
		return c.answered(f.xid(), f.body())
	case typeExperimenter:
		return c.experimenter(f, h)
	}
	return nil
}

// answerEcho gives an echo request back as a reply. Where the switch does not read its answers they are
// not piled up: the reader never waits for the writer.
func (c *Conn) answerEcho(f frame) {
	reply := bytes.Clone(f)
	reply[1] = typeEchoReply
	select {
	case c.echo <- reply:
	default:
	}
}

func (c *Conn) multipartReply(f frame, h Handler) error {
	s, err := decodeSegment(f.body())
	if err != nil {
		return err
	}
	if s.kind == multipartExperimenter {
		experimenter, kind := s.body.experimenterHead()
		if experimenter == onf && kind == onfFlowMonitor {
			if err := decodeUpdates(s.body, h.FlowChanged); err != nil {
				return err
			}
		}
	}
	return c.segmentArrived(f.xid(), s)
}

func (c *Conn) experimenter(f frame, h Handler) error {
	body := f.body()
	experimenter, kind := body.experimenterHead()
	switch {
	case body.short || experimenter != onf:
		return nil
	case kind == onfBundleControl:
		return c.answered(f.xid(), body)
	case kind == onfRoleStatus:
		return c.roleIs(body, h)
	case kind == onfFlowMonitorPaused:
		c.o.Log.Warn("switch holds back flow events until its queue has drained", "datapath", c.datapath)
	case kind == onfFlowMonitorResumed:
		c.o.Log.Info("switch reports flow events again", "datapath", c.datapath)
	}
	return nil
}
