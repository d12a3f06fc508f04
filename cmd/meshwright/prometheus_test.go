package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPrometheusQuery(t *testing.T) {
	answers := map[string]string{
		"scalar(1)": `{"status":"success","data":{"resultType":"scalar","result":[1700000000.1,"4.5"]}}`,
		"one":       `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"7"]}]}}`,
		"nan":       `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"NaN"]}]}}`,
		"none":      `{"status":"success","data":{"resultType":"vector","result":[]}}`,
		"matrix":    `{"status":"success","data":{"resultType":"matrix","result":[]}}`,
		"bad":       `{"status":"error","errorType":"bad_data","error":"parse error"}`,
		"html":      `<html>`,
		"odd":       `{"status":"success","data":{"resultType":"scalar","result":[1]}}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prom/api/v1/query" {
			t.Errorf("asked at %s", r.URL)
		}
		fmt.Fprint(w, answers[r.URL.Query().Get("query")])
	}))
	query := prometheusQuery(server.URL + "/prom/")
	for _, c := range []struct{ query, want string }{
		{"scalar(1)", "4.5"}, {"one", "7"}, {"nan", "NaN"}, {"none", "gives 0 series"}, {"matrix", "gives a matrix"},
		{"bad", "prometheus says: parse error"}, {"html", "200 OK"}, {"odd", "no number"},
	} {
		n, err := query(t.Context(), c.query)
		got := fmt.Sprint(n)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s gives %s, want %s", c.query, got, c.want)
		}
	}
	server.Close()
	if _, err := query(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), "cannot be asked") || strings.Contains(err.Error(), "query=") {
		t.Errorf("without a server: %v", err)
	}
	if prometheusQuery("") != nil {
		t.Error("without a URL there is one to ask")
	}
}
