package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// serveFrames answers HTTP/2 frame by frame, since no server of a library can
// be told to refuse a stream.
func (s *standIn) serveFrames(l net.Listener) (stop func()) {
	clients := &clients{Listener: l, open: map[string]net.Conn{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := clients.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() {
				defer conn.Close()
				s.answerFrames(conn)
			})
		}
	})
	return func() { _ = l.Close(); clients.dropAll(); running.Wait() }
}

// answerFrames serves one connection until it ends.
func (s *standIn) answerFrames(conn net.Conn) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	frames := http2.NewFramer(conn, conn)
	frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	err := frames.WriteSettings()
	for err == nil {
		var got http2.Frame
		if got, err = frames.ReadFrame(); err != nil {
			return
		}
		switch got := got.(type) {
		case *http2.SettingsFrame:
			if !got.IsAck() {
				err = frames.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !got.IsAck() {
				err = frames.WritePing(true, got.Data)
			}
		case *http2.MetaHeadersFrame:
			if s.begin(false).kind == "refuse" {
				err = frames.WriteRSTStream(got.StreamID, http2.ErrCodeRefusedStream)
				continue
			}
			block.Reset()
			seen := s.sees("HTTP/2.0", got.PseudoValue("method"), got.PseudoValue("path"), got.PseudoValue("authority"), http.Header{})
			_ = encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"}) // a buffer takes everything
			_ = encoder.WriteField(hpack.HeaderField{Name: "x-sight", Value: seen})
			err = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: got.StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
		}
	}
}

func (c *clients) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		_ = conn.Close()
	}
}
