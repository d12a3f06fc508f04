package lab

import (
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// ServeDNS answers questions for the mesh's host names, so that manifests keep
// those they have (yelb-db.yelb.svc.cluster.local) without a cluster. Names
// that it does not have do not exist. It runs until the lab is closed.
func (l *Lab) ServeDNS(at netip.AddrPort, names map[string]netip.Addr) error {
	conn, err := net.ListenPacket("udp4", at.String())
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			if reply := answer(buf[:n], names); reply != nil {
				_, _ = conn.WriteTo(reply, from) // who does not hear asks again
			}
		}
	})
	l.OnClose(func() { _ = conn.Close(); serving.Wait() })
	return nil
}

// answer is the reply to one query; nil where it cannot be understood.
func answer(query []byte, names map[string]netip.Addr) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	switch addr, ok := names[strings.TrimSuffix(q.Name.String(), ".")]; {
	case !ok:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 5},
			Body:   &dnsmessage.AResource{A: addr.As4()},
		}}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}
