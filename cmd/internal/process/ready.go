package process

import "regexp"

var readyLine = regexp.MustCompile(`(?m)^ready: xds (\S+) http (\S+) commit`)

// Ready finds where a `meshwright serve` says that it listens, once it does: ADS
// at HOST:PORT, the rest at a URL.
func Ready(said string) (xds, http string, ok bool) {
	m := readyLine.FindStringSubmatch(said)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}
