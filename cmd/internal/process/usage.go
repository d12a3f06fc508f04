package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used.
type Usage struct {
	CPU    time.Duration `json:"cpu"`    // with that of its children that have ended; in steps of 10 ms
	Memory int64         `json:"memory"` // resident bytes
	Peak   int64         `json:"peak"`   // the most of them so far
}

// Usage reads /proc.
func (p *Process) Usage() (Usage, error) {
	var u Usage
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // from the third on
	if len(fields) < 15 {
		return u, errors.New("/proc has another form here")
	}
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime in hundredths of a second
		n, err := strconv.Atoi(f)
		if err != nil {
			return u, err
		}
		u.CPU += time.Duration(n) * 10 * time.Millisecond
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64) // other lines are no numbers
		switch key {
		case "VmRSS":
			u.Memory = kb << 10
		case "VmHWM":
			u.Peak = kb << 10
		}
	}
	return u, nil
}
