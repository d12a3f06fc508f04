package ads

import (
	"log/slog"
	"strings"
)

// label is what a state is known by: its commit and, of the many that a rollout
// has of one commit, "+N". ACKs are told apart by it; people are shown the commit.
type label string

// LogValue is what a log shows.
func (l label) LogValue() slog.Value { return slog.StringValue(l.commit()) }

func (l label) commit() string {
	commit, _, _ := strings.Cut(string(l), "+")
	return commit
}
