package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// prometheusQuery asks the API of a Prometheus, at its base URL, for the one
// number that a query gives. nil without a URL.
func prometheusQuery(base string) func(ctx context.Context, query string) (float64, error) {
	if base == "" {
		return nil
	}
	client := &http.Client{Timeout: 10 * time.Second}
	return func(ctx context.Context, query string) (float64, error) {
		at := strings.TrimSuffix(base, "/") + "/api/v1/query?" + url.Values{"query": {query}}.Encode()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return 0, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, errors.New("prometheus cannot be asked: " + unwrapped(err)) // without the query, which is long
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return 0, err
		}
		return oneNumber(resp.Status, body)
	}
}

// unwrapped is an error of a request without its method and URL.
func unwrapped(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err.Error()
	}
	return err.Error()
}

// oneNumber reads an answer: a scalar, or a vector of one sample.
func oneNumber(status string, body []byte) (float64, error) {
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			Type   string          `json:"resultType"`
			Result json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("prometheus answers %s, which is not what its API says", status)
	}
	if answer.Status != "success" {
		return 0, errors.New("prometheus says: " + answer.Error)
	}
	sample := answer.Data.Result
	if answer.Data.Type != "scalar" {
		var series []struct {
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal(answer.Data.Result, &series); err != nil || answer.Data.Type != "vector" {
			return 0, fmt.Errorf("the query gives a %s, and one number is wanted", answer.Data.Type)
		}
		if len(series) != 1 {
			return 0, fmt.Errorf("the query gives %d series, and one is wanted", len(series))
		}
		sample = series[0].Value
	}
	var at float64
	var text string
	if err := json.Unmarshal(sample, &[]any{&at, &text}); err != nil {
		return 0, errors.New("prometheus gives no number")
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("prometheus gives %q, which is no number", text)
	}
	return n, nil
}
