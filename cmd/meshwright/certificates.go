package main

import "github.com/meshwright/meshwright/xds/certs"

// certificates is the file of a --certificates flag, read when the flags are;
// without one there are no settings.
type certificates struct{ *certs.Settings }

// UnmarshalText reads the file of that name.
func (c *certificates) UnmarshalText(file []byte) (err error) {
	if len(file) > 0 {
		c.Settings, err = certs.ReadSettings(string(file))
	}
	return err
}
