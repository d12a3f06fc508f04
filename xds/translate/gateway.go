package translate

import "github.com/meshwright/meshwright/schema"

func (b *builder) gateway(g *schema.VirtualGateway) {
	b.notice("Virtual gateways are not translated yet.")
}
