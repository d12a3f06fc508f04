package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshwright/meshwright/reconciler/store"
)

// journal keeps the state in a store: all but the pull requests under one key,
// and each of them, which have plans and are large, under its own. It is the
// loop's.
type journal struct {
	store   store.Store
	version uint64
	saved   []byte
	pulls   map[int]kept
}

// kept is a pull request as it is stored.
type kept struct {
	version uint64
	pull    *Pull // nil: it cannot be read
}

const (
	stateKey  = "state"
	pullsKeys = "pull/" // with the number
)

func (j *journal) load(ctx context.Context) (State, error) {
	value, version, err := j.store.Get(ctx, stateKey)
	if err != nil {
		return State{}, fmt.Errorf("load state: %w", err)
	}
	j.version, j.saved, j.pulls = version, value, map[int]kept{}
	s := State{Format: format}
	if version > 0 {
		if s, err = readState(value); err != nil {
			return State{}, fmt.Errorf("load state: %w", err)
		}
	}
	keys, err := j.store.List(ctx, pullsKeys)
	if err != nil {
		return State{}, fmt.Errorf("load state: %w", err)
	}
	s.Pulls = map[int]*Pull{}
	for key := range keys {
		value, version, err := j.store.Get(ctx, key)
		if err != nil {
			return State{}, fmt.Errorf("load state: %w", err)
		}
		number, err := strconv.Atoi(strings.TrimPrefix(key, pullsKeys))
		if err != nil {
			continue // nobody's
		}
		k := kept{version: version}
		if k.pull = readPull(value); k.pull != nil {
			s.Pulls[number] = k.pull
		}
		j.pulls[number] = k
	}
	return s, nil
}

// readState reads what save has written.
func readState(value []byte) (State, error) {
	var s State
	if err := json.Unmarshal(value, &s); err != nil {
		return State{}, fmt.Errorf("it is damaged: %w; remove the state directory to start from the newest commit", err)
	}
	if s.Format != format {
		return State{}, fmt.Errorf("its format is %d and this meshwright knows %d; start the version that wrote it, or remove the state directory", s.Format, format)
	}
	if good := s.find(s.Good); s.Good != "" && (good == nil || good.Applied == nil) {
		return State{}, fmt.Errorf("it is damaged: nothing is known of the good commit %s; remove the state directory to start from the newest commit", s.Good)
	}
	maps.DeleteFunc(s.Trials, func(_ string, run *Run) bool { return run == nil })
	s.Past = slices.DeleteFunc(s.Past, func(run *Run) bool { return run == nil || len(run.History) == 0 })
	for _, r := range s.Records {
		if r.Commit == "" {
			return State{}, errors.New("it is damaged: a commit has no hash; remove the state directory to start from the newest commit")
		}
		for context, slot := range r.Statuses {
			slot.Unsure = slot.Tried
			r.Statuses[context] = slot
		}
	}
	return s, nil
}

// readPull reads a pull request; nil for one that cannot be read: it is checked
// anew when it is open, and its comment is found.
func readPull(value []byte) *Pull {
	var p Pull
	if json.Unmarshal(value, &p) != nil {
		return nil
	}
	return &p
}

// save writes what differs from what is stored. Pull requests come first: what
// the state says of them may rest on what they say.
func (j *journal) save(ctx context.Context, s State) error {
	if err := j.savePulls(ctx, s.Pulls); err != nil {
		return err
	}
	value, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if string(value) == string(j.saved) {
		return nil
	}
	version, err := j.set(ctx, stateKey, value, j.version)
	if err != nil {
		return err
	}
	j.version, j.saved = version, value
	return nil
}

// savePulls writes those that are others than before: decide never changes one,
// it puts another in its place. Those that are forgotten go, and what could not
// be read.
func (j *journal) savePulls(ctx context.Context, pulls map[int]*Pull) error {
	for number, p := range pulls {
		if j.pulls[number].pull == p {
			continue
		}
		value, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("save pull request %d: %w", number, err)
		}
		version, err := j.set(ctx, pullKey(number), value, j.pulls[number].version)
		if err != nil {
			return err
		}
		j.pulls[number] = kept{version, p}
	}
	for number, k := range j.pulls {
		if pulls[number] == nil {
			if err := unsaved(j.store.Delete(ctx, pullKey(number), k.version)); err != nil {
				return err
			}
			delete(j.pulls, number)
		}
	}
	return nil
}

func pullKey(number int) string { return pullsKeys + strconv.Itoa(number) }

func (j *journal) set(ctx context.Context, key string, value []byte, version uint64) (uint64, error) {
	next, err := j.store.CompareAndSet(ctx, key, value, version)
	return next, unsaved(err)
}

// unsaved says what an error of the store means.
func unsaved(err error) error {
	if errors.Is(err, store.ErrConflict) {
		err = fmt.Errorf("%w; is another meshwright running on this state?", err)
	}
	if err != nil {
		err = fmt.Errorf("save state: %w", err)
	}
	return err
}
