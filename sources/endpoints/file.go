package endpoints

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/meshwright/meshwright/schema"
)

// kept is an answer in the file: the query as a spec writes it, and instances.
// A file that cannot be read costs nothing but a start without endpoints while
// the registry is away.
type kept struct {
	Query     schema.CloudMapDiscovery `json:"query"`
	Instances []schema.Instance        `json:"instances"`
}

func load(file string) (map[schema.Query]*schema.Found, error) {
	found := map[schema.Query]*schema.Found{}
	if file == "" {
		return found, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	var all []kept
	if err := json.Unmarshal(data, &all); err != nil {
		return found, fmt.Errorf("read %s: %w", file, err)
	}
	for _, k := range all {
		found[k.Query.Query()] = schema.NewFound(k.Instances)
	}
	return found, nil
}

// save replaces the file whole, so that a crash leaves the old one.
func save(file string, found map[schema.Query]*schema.Found) error {
	if file == "" {
		return nil
	}
	all := []kept{}
	for q, f := range found {
		k := kept{schema.CloudMapDiscovery{NamespaceName: q.Namespace, ServiceName: q.Service}, f.Instances}
		for key, value := range q.Attributes() {
			k.Query.Attributes = append(k.Query.Attributes, schema.CloudMapAttribute{Key: key, Value: value})
		}
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b kept) int {
		return a.Query.Query().Compare(b.Query.Query())
	})
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name()) // gone already when all went well
	_, err = next.Write(data)
	if err := errors.Join(err, next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), file)
}
