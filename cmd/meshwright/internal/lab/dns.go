package lab

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Names are the host names that a lab's DNS server knows. They may change
// while it answers.
type Names struct {
	mu    sync.Mutex
	addrs map[string][]netip.Addr
}

// Set makes a host have these addresses, IPv4 or IPv6; without any, it has no
// address but exists. With the zero address, questions for it are not answered.
func (n *Names) Set(host string, addrs ...netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addrs == nil {
		n.addrs = map[string][]netip.Addr{}
	}
	n.addrs[strings.ToLower(host)] = slices.Clone(addrs)
}

// Addrs are a host's addresses; known is false if there is no such host.
func (n *Names) Addrs(host string) (addrs []netip.Addr, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addrs, known = n.addrs[strings.ToLower(host)]
	return addrs, known
}

// ServeDNS answers questions for the mesh's host names, so that manifests keep
// those they have (yelb-db.yelb.svc.cluster.local) without a cluster. Names
// that it does not have do not exist. It runs until the lab is closed.
func (l *Lab) ServeDNS(at netip.AddrPort, names *Names) error {
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

// ttl of every answer, in seconds: Envoy asks every 5 s anyway.
const ttl = 5

// answer is the reply to one query; nil where there is none.
func answer(query []byte, names *Names) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	addrs, known := names.Addrs(strings.TrimSuffix(q.Name.String(), "."))
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, addr := range addrs {
		if !addr.IsValid() {
			return nil
		}
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: ttl}
		switch {
		case q.Type == dnsmessage.TypeA && addr.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case q.Type == dnsmessage.TypeAAAA && addr.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}
