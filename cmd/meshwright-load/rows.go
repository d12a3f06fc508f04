package main

import (
	"cmp"
	"strings"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright-load/internal/peer"
	"github.com/meshwright/meshwright/fixtures/scale"
)

// Row is one thing to measure.
type Row struct {
	Name    string     `json:"name"`
	Mesh    scale.Mesh `json:"mesh"`
	Streams int        `json:"streams"` // spread over the mesh's identities; 0: only starts are measured
	SotW    bool       `json:"sotw"`
	Whole   bool       `json:"wholeRoutes"` // delta streams take whole routes too
	Changes int        `json:"changes"`     // commits
	Peers   []string   `json:"peers"`
	Aims    []Aim      `json:"-"`
	Grows   string     `json:"grows,omitempty"` // what of it does, from row to row: services or streams
	// Listen is for how long, after all have got what they should, messages that
	// nobody should get are waited for; 0: 400 ms.
	Listen time.Duration `json:"listen"`
}

// Aim is a limit of a number of the daemon's: as a multiple of the same number
// of a peer or, without a peer, in the number's own unit.
type Aim struct {
	What   string // see figures
	Of     string // peer
	AtMost float64
}

// rows are in the order in which help lists them.
var rows = []Row{
	{
		Name: "few", Mesh: scale.Mesh{Services: 1000, Backends: 10}, Streams: 1000, Changes: 5,
		Peers: []string{peer.Snapshot, peer.Linear, peer.Floor},
		Aims:  []Aim{{"last ACK", peer.Snapshot, 1}, {"ms beside the wire", "", 60}, {"untouched", "", 0}},
	},
	{
		Name: "all", Mesh: scale.Mesh{Services: 100, Callers: 1000, Backends: 100}, Streams: 1000, Changes: 5,
		Peers: []string{peer.Snapshot, peer.Linear, peer.Floor},
		Aims:  []Aim{{"last ACK", peer.Floor, 1.6}, {"last ACK", peer.Snapshot, 0.1}, {"memory", peer.Snapshot, 0.2}, {"storm", peer.Snapshot, 0.5}},
	},
	{
		Name: "start", Mesh: scale.Mesh{Services: 2500, Backends: 10},
		Aims: []Aim{{"cold s", "", 15}, {"warm s", "", 3}},
	},
	{Name: "smoke", Mesh: scale.Mesh{Services: 4, Backends: 2}, Streams: 20, Changes: 1, Listen: 50 * time.Millisecond, Peers: []string{peer.Snapshot, peer.Linear, peer.Floor}},
	{Name: "services-100", Grows: "services", Mesh: scale.Mesh{Services: 100, Backends: 10}, Streams: 100, Changes: 3},
	{Name: "services-1000", Grows: "services", Mesh: scale.Mesh{Services: 1000, Backends: 10}, Streams: 100, Changes: 3},
	{Name: "services-10000", Grows: "services", Mesh: scale.Mesh{Services: 10000, Backends: 10}, Streams: 100, Changes: 3},
	{Name: "streams-100", Grows: "streams", Mesh: scale.Mesh{Services: 100, Backends: 20}, Streams: 100, Changes: 3, Peers: []string{peer.Floor}},
	{Name: "streams-1000", Grows: "streams", Mesh: scale.Mesh{Services: 100, Backends: 20}, Streams: 1000, Changes: 3, Peers: []string{peer.Floor}},
	{Name: "streams-5000", Grows: "streams", Mesh: scale.Mesh{Services: 100, Backends: 20}, Streams: 5000, Changes: 3, Peers: []string{peer.Floor}},
}

func rowNamed(name string) (Row, bool) {
	for _, r := range rows {
		if r.Name == name {
			r.Listen = cmp.Or(r.Listen, 400*time.Millisecond)
			return r, true
		}
	}
	return Row{}, false
}

// growing is the name of all rows that grow.
const growing = "growth"

// expand puts the rows that grow in the place of their name.
func expand(names []string) []string {
	var list []string
	for _, name := range names {
		if name != growing {
			list = append(list, name)
			continue
		}
		for _, r := range rows {
			if r.Grows != "" {
				list = append(list, r.Name)
			}
		}
	}
	return list
}

func rowNames() string {
	var names []string
	for _, r := range rows {
		names = append(names, r.Name)
	}
	return strings.Join(append(names, growing), ", ")
}
