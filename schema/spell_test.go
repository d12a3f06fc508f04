package schema_test

import (
	"testing"
	"time"

	"github.com/meshwright/meshwright/schema"
)

func TestSpell(t *testing.T) {
	for want, got := range map[string]string{
		"0 proxies":   schema.Count(0, "proxy"),
		"1 proxy":     schema.Count(1, "proxy"),
		"2 proxies":   schema.Count(2, "proxy"),
		"1 interval":  schema.Count(1, "interval"),
		"3 intervals": schema.Count(3, "interval"),
		"2h":          schema.SpellSpan(2 * time.Hour),
		"1h30m":       schema.SpellSpan(90 * time.Minute),
		"1m0.5s":      schema.SpellSpan(time.Minute + time.Second/2),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
