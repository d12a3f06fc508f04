package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
)

// Block is 256 loopback addresses that one lab has for itself.
type Block struct{ base netip.Addr }

// Addr is the block's nth address.
func (b Block) Addr(n byte) netip.Addr {
	a := b.base.As4()
	a[3] = n
	return netip.AddrFrom4(a)
}

// At is a port of the block's nth address.
func (b Block) At(n byte, port uint16) netip.AddrPort { return netip.AddrPortFrom(b.Addr(n), port) }

// claimBlock finds a block that no other lab has; it has it until held is
// closed. A port on its first address is the claim.
func claimBlock() (block Block, held net.PacketConn, err error) {
	for i := range 1000 {
		n := os.Getpid() + i
		block = Block{netip.AddrFrom4([4]byte{127, byte(2 + n/250%200), byte(n % 250), 0})}
		if held, err = net.ListenPacket("udp4", block.At(1, 4999).String()); err == nil {
			return block, held, nil
		}
	}
	return Block{}, nil, fmt.Errorf("no loopback addresses for a lab: %w", err)
}
