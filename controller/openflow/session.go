package openflow

import (
	"github.com/contiv/libOpenflow/common"
	of "github.com/contiv/libOpenflow/openflow13"
	"github.com/contiv/libOpenflow/util"

	"github.com/signalbox-sdn/signalbox/flowpipeline/flow"
)

// This file is all that is asked of libOpenflow: the session's own messages, in the forms that it encodes
// well. Its numbering of messages is process-wide, so each is numbered again by its connection.

// marshal never fails for these messages, whose parts are all fixed.
func marshal(m util.Message) []byte {
	b, err := m.MarshalBinary()
	if err != nil {
		panic("openflow: libOpenflow refuses a message that this package made: " + err.Error())
	}
	return b
}

func bare(h *common.Header, xid uint32) []byte {
	h.Xid = xid
	return marshal(h)
}

// hello offers 1.3 alone. The library's own hello offers 1.0 too, which would be taken.
func hello(xid uint32) []byte {
	bitmap := common.NewHelloElemVersionBitmap()
	bitmap.Bitmaps = []uint32{1 << version}
	return marshal(&common.Hello{
		Header:   common.Header{Version: version, Type: of.Type_Hello, Xid: xid},
		Elements: []common.HelloElem{bitmap},
	})
}

// helloFailed is the refusal of a peer that does not speak 1.3.
func helloFailed(xid uint32, why string) []byte {
	m := of.NewErrorMsg()
	m.Type, m.Code = of.ET_HELLO_FAILED, of.HFC_INCOMPATIBLE
	m.Data = *util.NewBuffer([]byte(why))
	m.Header = common.Header{Version: version, Type: of.Type_Error, Length: m.Len(), Xid: xid}
	return marshal(m)
}

func featuresRequest(xid uint32) []byte { return bare(of.NewFeaturesRequest(), xid) }

func echoRequest(xid uint32) []byte { return bare(of.NewEchoRequest(), xid) }

func barrierRequest(xid uint32) []byte {
	return bare(&common.Header{Version: version, Type: of.Type_BarrierRequest, Length: headerSize}, xid)
}

// setConfig asks for whole packets in packet-ins of table misses; OVS sends none before it.
func setConfig(xid uint32) []byte {
	m := of.NewSetConfig()
	m.Header.Xid, m.MissSendLen = xid, wholeFrame
	return marshal(m)
}

func multipart(xid uint32, kind uint16, body util.Message) []byte {
	m := &of.MultipartRequest{Header: of.NewOfp13Header(), Type: kind, Body: body}
	m.Header.Type, m.Header.Xid = of.Type_MultiPartRequest, xid
	return marshal(m)
}

func portDescRequest(xid uint32) []byte {
	return multipart(xid, of.MultipartType_PortDesc, util.NewBuffer(nil))
}

func flowsRequest(xid uint32) []byte {
	body := of.NewFlowStatsRequest()
	body.TableId = allTables
	return multipart(xid, of.MultipartType_Flow, body)
}

func flowsWithRequest(xid uint32, cookie flow.Cookie) []byte {
	body := of.NewFlowStatsRequest()
	body.TableId, body.Cookie, body.CookieMask = allTables, uint64(cookie), ^uint64(0)
	return multipart(xid, of.MultipartType_Flow, body)
}

func metersRequest(xid uint32) []byte {
	return multipart(xid, of.MultipartType_MeterConfig, util.NewBuffer([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})) // OFPM_ALL
}

// bundleControl opens, closes, commits or discards a bundle.
func bundleControl(xid, bundle uint32, what uint16) []byte {
	m := of.NewBundleControl(&of.BundleControl{BundleID: bundle, Type: what, Flags: bundleFlags})
	m.Header.Xid = xid
	return marshal(m)
}

// bundleFlags: all or nothing, and in the order sent.
const bundleFlags = of.OFPBCT_ATOMIC | of.OFPBCT_ORDERED

func meterMod(xid uint32, command uint16, m flow.RateLimit) []byte {
	out := of.NewMeterMod()
	out.Header.Xid, out.Command, out.MeterId = xid, command, m.ID
	if command == of.OFPMC_DELETE {
		return marshal(out)
	}
	out.Flags = of.OFPMF13_PKTPS
	band := &of.MeterBandDrop{MeterBandHeader: *of.NewMeterBandHeader()}
	band.Type, band.Rate = of.OFPMBT13_DROP, m.PacketsPerSecond
	if m.Burst > 0 {
		out.Flags |= of.OFPMF13_BURST
		band.BurstSize = m.Burst
	}
	out.AddMeterBand(band)
	return marshal(out)
}
