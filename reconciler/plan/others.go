package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds/translate"
)

// others says what differs of a route beside who gets its requests, a phrase
// each.
func others(was, is *line) []string {
	var out []string
	say := func(what, before, after string) {
		if before == after {
			return
		}
		if phrase := strings.TrimSpace(what + " " + orNone(before) + " → " + orNone(after)); !slices.Contains(out, phrase) {
			out = append(out, phrase)
		}
	}
	if was.match != "" && is.match != "" { // else one is the only route of a node
		if was.name != is.name {
			out = append(out, "was "+was.name)
		}
		say("match", was.words, is.words)
		say("priority", spellPriority(was.prio), spellPriority(is.prio))
		before, _, _ := strings.Cut(was.match, " ")
		after, _, _ := strings.Cut(is.match, " ")
		say("type", before, after)
	}
	for _, what := range []string{"gateway", "rewrite"} {
		say(what, was.extra[what], is.extra[what])
	}
	gateway := was.extra != nil
	for i := range min(len(was.rules), len(is.rules)) {
		before, after := &was.rules[i], &is.rules[i]
		if !gateway || before.Timeout != nil || after.Timeout != nil {
			request, idle := translate.Timeouts(before.Timeout)
			requestNow, idleNow := translate.Timeouts(after.Timeout)
			if !strings.HasPrefix(is.match, "tcp") {
				say("timeout", limit(request), limit(requestNow))
			}
			say("idle timeout", limit(idle), limit(idleNow))
		}
		if !strings.HasPrefix(is.match, "tcp") && (!gateway || before.RetryPolicy != nil || after.RetryPolicy != nil) {
			say("", translate.RetryWords(before.RetryPolicy), translate.RetryWords(after.RetryPolicy))
		}
		say("mirror", mirrorWords(before.Mirror), mirrorWords(after.Mirror))
		say("rate limit", rateWords(before.RateLimit), rateWords(after.RateLimit))
		say("fault", faultWords(before.Fault), faultWords(after.Fault))
		say("request headers", headerWords(before.RequestHeaders), headerWords(after.RequestHeaders))
		say("response headers", headerWords(before.ResponseHeaders), headerWords(after.ResponseHeaders))
		say("CORS", corsWords(before.CORS), corsWords(after.CORS))
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// limit is a duration of which 0 means none.
func limit(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return d.String()
}

func spellPriority(p *uint32) string {
	if p == nil {
		return ""
	}
	return strconv.Itoa(int(*p))
}

func mirrorWords(m *schema.Mirror) string {
	if m == nil {
		return ""
	}
	return percentOf(m.Percent) + " to " + schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key(m.VirtualNodeRef.In(""))}.String()
}

func percentOf(p *uint32) string {
	if p == nil {
		return "all"
	}
	return fmt.Sprintf("%d %%", *p)
}

func rateWords(r *schema.RateLimit) string {
	if r == nil {
		return ""
	}
	per := time.Second
	if r.Per != nil {
		per = r.Per.Duration()
	}
	s := fmt.Sprintf("%d per %s", r.Requests, per)
	if r.Burst != 0 && r.Burst != r.Requests {
		s += fmt.Sprintf(", %d at once", r.Burst)
	}
	return s
}

func faultWords(f *schema.Fault) string {
	if f == nil {
		return ""
	}
	var parts []string
	if d := f.Delay; d != nil {
		parts = append(parts, percentOf(d.Percent)+" delayed by "+d.Duration.Duration().String())
	}
	if a := f.Abort; a != nil {
		status := a.GRPCStatus
		if a.HTTPStatus != 0 {
			status = strconv.Itoa(int(a.HTTPStatus))
		}
		parts = append(parts, percentOf(a.Percent)+" answered with "+status)
	}
	if len(f.Headers) > 0 {
		parts = append(parts, "only with headers "+spell(f.Headers))
	}
	return strings.Join(parts, ", ")
}

func headerWords(h *schema.HeaderChanges) string {
	if h == nil {
		return ""
	}
	var parts []string
	for _, name := range h.Remove {
		parts = append(parts, name+" removed")
	}
	for _, set := range h.Set {
		parts = append(parts, set.Name+" set to "+set.Value)
	}
	for _, add := range h.Add {
		parts = append(parts, add.Name+" added as "+add.Value)
	}
	return strings.Join(parts, ", ")
}

func corsWords(c *schema.CORS) string {
	if c == nil {
		return ""
	}
	var from []string
	for _, o := range c.AllowOrigins {
		switch {
		case o.Exact != "":
			from = append(from, o.Exact)
		case o.Suffix != "":
			from = append(from, "*"+o.Suffix)
		default:
			from = append(from, "matching "+o.Regex)
		}
	}
	s := "from " + strings.Join(from, " or ")
	if more := spell([]any{c.AllowMethods, c.AllowHeaders, c.ExposeHeaders, c.MaxAge, c.AllowCredentials}); more != `[null,null,null,null,false]` {
		s += " " + more
	}
	return s
}

// rewriteOf says what a gateway route makes of host and path.
func rewriteOf(g *schema.GatewayRoute) string {
	var w *schema.GatewayRewrite
	switch h := g.HTTP(); {
	case h != nil:
		w = h.Action.Rewrite
	case g.Spec.GRPCRoute != nil:
		w = g.Spec.GRPCRoute.Action.Rewrite
	}
	if w == nil {
		return ""
	}
	var parts []string
	if h := w.Hostname; h != nil && h.DefaultTargetHostname == "DISABLED" {
		parts = append(parts, "keeps the host")
	}
	if p := w.Prefix; p != nil && p.DefaultPrefix == "DISABLED" {
		parts = append(parts, "keeps the prefix")
	} else if p != nil && p.Value != "" {
		parts = append(parts, "prefix to "+p.Value)
	}
	if p := w.Path; p != nil {
		parts = append(parts, "path to "+p.Exact)
	}
	return strings.Join(parts, ", ")
}
