package main

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The first test is about OpenVidu's faults. Tests of shared calls, turns, TLS, time limits, connections and the proxy
// follow.

// Each fault of OpenVidu has a message that says what to check. The log adds the cause.
func TestOpenViduFaults(t *testing.T) {
	const (
		chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		post    = `Post "http://127.0.0.1:4443/openvidu/api/sessions": `
	)
	padded := func(size int) http.HandlerFunc {
		return fakeResponse(200, recordedConnection+strings.Repeat(" ", size-len(recordedConnection)))
	}
	redirect := func(status int) http.HandlerFunc { return http.RedirectHandler("/", status).ServeHTTP }
	testRows(t, []testExchange{
		{name: "wrong secret", request: testSessions, openvidu: fakeResponse(401, recordedUnauthorized),
			want: wantCredentials, wantCause: "status 401: Unauthorized"},
		{name: "wrong secret, OpenVidu 2.32", request: testConnections, openvidu: fakeResponse(401, ""),
			want: wantCredentials, wantCause: "status 401"},
		{name: "wrong path, OpenVidu 2.32", request: testSessions, openvidu: fakeResponse(403, ""),
			want: wantForbidden, wantCause: "status 403"},
		{name: "403 from nginx", request: testConnections, openvidu: fakeResponse(403, recordedHTML),
			want: wantForbidden, wantCause: "status 403"},
		{name: "wrong path for a connection", request: testConnections, openvidu: fakeResponse(404, recordedNotFound),
			want: wantNoAPI, wantCause: "status 404: Not Found"},
		{name: "404 about another session", request: testConnections, openvidu: fakeResponse(404,
			`{"error":"Not Found","message":"Session SessionB not found"}`), want: wantNoAPI,
			wantCause: "status 404: Session SessionB not found"},
		{name: "wrong path for a session", request: testSessions, body: testSessionA,
			openvidu: fakeResponse(404, recordedNotFound), want: wantNoAPI, wantCause: "status 404: Not Found"},
		{name: "empty 404 for a session", request: testSessions, openvidu: fakeResponse(404, ""),
			want: wantNoAPI, wantCause: "status 404"},
		{name: "400 from Tomcat", request: testSessions, openvidu: fakeResponse(400, recordedHTML),
			want: wantNoAPI, wantCause: "status 400"},
		{name: "400 from another API", request: testConnections, openvidu: fakeResponse(400, `{"message":"a"}`),
			want: wantNoAPI, wantCause: "status 400"},
		{name: "redirect to HTTPS", request: testSessions, openvidu: redirect(301),
			want: wantNoAPI, wantCause: "status 301"},
		{name: "temporary redirect", request: testConnections, openvidu: redirect(302),
			want: wantNoAPI, wantCause: "status 302"},
		{name: "redirect of a POST", request: testConnections, openvidu: redirect(308),
			want: wantNoAPI, wantCause: "status 308"},
		{name: "501 from another web server", request: testSessions, openvidu: fakeResponse(501, recordedHTML),
			want: wantNoAPI, wantCause: "status 501"},
		{name: "500 without a message", request: testConnections, openvidu: fakeResponse(500, recordedInternal),
			want: wantFailed, wantCause: "status 500: Internal Server Error"},
		// From newWebrtcConnection in SessionRestController.java, with the exception's message cut in two lines.
		{name: "500 with a message", request: testConnections, openvidu: fakeResponse(500,
			`{"timestamp":1795363586293,"status":500,"error":"Internal Server Error",`+
				`"message":"Error creating Connection for session SessionA: two\nlines",`+
				`"path":"/openvidu/api/sessions/SessionA/connection"}`), want: wantFailed,
			wantCause: "status 500: Error creating Connection for session SessionA: two lines"},
		{name: "500 with a long message", request: testConnections, openvidu: fakeResponse(500,
			`{"error":"Internal Server Error","message":"`+strings.Repeat("é", 301)+`"}`), want: wantFailed,
			wantCause: "status 500: " + strings.Repeat("é", 300)},
		{name: "502 from nginx", request: testSessions, openvidu: fakeResponse(502, recordedHTML),
			want: wantFailed, wantCause: "status 502"},
		{name: "503 from nginx", request: testSessions, openvidu: fakeResponse(503, recordedHTML),
			want: wantFailed, wantCause: "status 503"},
		{name: "504 from nginx", request: testConnections, openvidu: fakeResponse(504, recordedHTML),
			want: wantFailed, wantCause: "status 504"},
		{name: "409 without a customSessionId", request: testSessions, body: `{"customSessionId":null}`,
			openvidu: fakeResponse(409, ""), want: wantUnexpected, wantCause: "status 409"},
		{name: "409 with CustomSessionId in the wrong case", request: testSessions, body: `{"CustomSessionId":"A"}`,
			openvidu: fakeResponse(409, ""), want: wantUnexpected, wantCause: "status 409"},
		{name: "409 for a connection", request: testConnections, body: testSessionA, openvidu: fakeResponse(409, ""),
			want: wantUnexpected, wantCause: "status 409"},
		{name: "415", request: testSessions, body: testSessionA, openvidu: fakeResponse(415, ""),
			want: wantUnexpected, wantCause: "status 415"},
		{name: "201", request: testSessions, openvidu: fakeResponse(201, recordedSession),
			want: wantUnexpected, wantCause: "status 201"},
		{name: "HTML from another server", request: testSessions, openvidu: fakeResponse(200, recordedHTML),
			want: wantUnexpected, wantCause: "invalid character '<' looking for beginning of value"},
		{name: "empty response", request: testConnections, openvidu: fakeResponse(200, ""),
			want: wantUnexpected, wantCause: "unexpected end of JSON input"},
		{name: "response that ends early", request: testConnections, want: wantUnexpected,
			openvidu: fakeResponse(200, `{"token":"`+testToken), wantCause: "unexpected end of JSON input"},
		{name: "number as the token", request: testConnections, want: wantUnexpected,
			openvidu:  fakeResponse(200, `{"data":"`+testToken+`","token":5}`),
			wantCause: "json: cannot unmarshal number into Go struct field .token of type string"},
		{name: "response without a session ID", request: testSessions, want: wantUnexpected,
			openvidu: fakeResponse(200, `{"token":"`+testToken+`"}`), wantCause: "no session ID"},
		{name: "response without a token", request: testConnections, want: wantUnexpected, wantCause: "no token",
			openvidu: fakeResponse(200, `{"type":"WEBRTC","token":null,"data":"`+testToken+`"}`)},
		{name: "empty object from another server", request: testConnections, openvidu: fakeResponse(200, "{}"),
			want: wantUnexpected, wantCause: "no token"},
		{name: "response that a proxy compresses", request: testConnections, want: "200 " + testToken,
			openvidu: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				compressed := gzip.NewWriter(w)
				io.WriteString(compressed, recordedConnection)
				compressed.Close()
			}},
		{name: "largest response", request: testConnections, openvidu: padded(maxResponse),
			want: "200 " + testToken},
		{name: "response that is a byte too large", request: testConnections, openvidu: padded(maxResponse + 1),
			want: wantUnexpected, wantCause: fmt.Sprintf("larger than %d bytes", maxResponse)},
		{name: "truncated body", request: testConnections, want: wantFailed, wantCause: "unexpected EOF",
			openvidu: fakeText("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + recordedConnection)},
		{name: "invalid chunk", request: testConnections, want: wantFailed, wantCause: "invalid byte in chunk length",
			openvidu: fakeText(chunked + "e\r\n{\"token\":\"tok_\r\nx\r\n" + testToken)},
		{name: "no response", request: testSessions, openvidu: fakeText(""), want: wantUnreachable,
			wantCause: post + "EOF"},
		{name: "no response to a request for a connection", request: testConnections, openvidu: fakeText(""),
			want:      wantUnreachable,
			wantCause: `Post "http://127.0.0.1:4443/openvidu/api/sessions/SessionA/connection": EOF`},
		{name: "SSH server", request: testSessions, openvidu: fakeText("SSH-2.0-OpenSSH_9.2\r\n"),
			want: wantUnreachable, wantCause: post + "net/http: .* malformed HTTP response \"SSH-2.0-OpenSSH_9.2\""},
		{name: "header of 65 KiB", request: testSessions, want: wantUnreachable,
			openvidu:  fakeText("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 65<<10) + "\r\n\r\n"),
			wantCause: post + "net/http: .* server response headers exceeded 65536 bytes; aborted"},
	}, func(t *testing.T, e testExchange) { e.run(t) })
}

// While OpenVidu creates a session, identical requests with the same customSessionId share one request to OpenVidu.
func TestSharedCalls(t *testing.T) {
	type row struct {
		name, request string
		bodies        []string // of concurrent requests
		want          string
		wantRequests  int // to OpenVidu
	}
	testRows(t, []row{
		{name: "identical requests", request: testSessions, bodies: slices.Repeat([]string{testSessionA}, 100),
			want: "200 SessionA", wantRequests: 1},
		{name: "different properties", request: testSessions, bodies: []string{testSessionA, testSessionA + " ",
			`{"customSessionId":"B"}`, strings.ToLower(testSessionA)}, want: "200 SessionA", wantRequests: 4},
		{name: "no customSessionId", request: testSessions, bodies: []string{"", "", "{}", `{"customSessionId":null}`,
			`{"customSessionId":null}`, `{"customSessionId":""}`, `{"customSessionId":""}`},
			want: "200 SessionA", wantRequests: 7},
		{name: "connections", request: testConnections, bodies: []string{testSessionA, testSessionA, "", ""},
			want: "200 " + testToken, wantRequests: 4},
	}, func(t *testing.T, tt row) {
		release := make(chan bool)
		s := startTest(t, fakeAfter(release, fakeRecorded))
		responses := make(chan string)
		for _, body := range tt.bodies {
			go func() { responses <- s.send(t, tt.request, body) }()
		}
		synctest.Wait()
		testEqual(t, "requests to OpenVidu", strings.Count(s.openvidu.received(), "POST "), tt.wantRequests)
		close(release)
		var different []string
		for range tt.bodies {
			if response := <-responses; !slices.Contains(different, response) {
				different = append(different, response)
			}
		}
		testEqual(t, "different responses", strings.Join(different, "\n"), wantText(tt.want))
		testEqual(t, "log", s.log.lines(), strings.Repeat(wantLogLine(tt.request, tt.want, ""), len(tt.bodies)))

		testEqual(t, "status after the end", s.send(t, tt.request, tt.bodies[0])[:3], "200")
		testEqual(t, "requests to OpenVidu after the end", strings.Count(s.openvidu.received(), "POST "), 1)
	})
}

// The request that comes first makes the shared call. If its client disconnects, another request makes it again.
func TestSharedCallDisconnects(t *testing.T) {
	type row struct {
		name          string
		disconnecting []int  // which of three clients disconnects, in this order; client 0 comes first
		want          string // what OpenVidu sees
	}
	testRows(t, []row{
		{name: "the client that came first", disconnecting: []int{0}, want: "2 requests, 1 canceled"},
		{name: "a client that waits", disconnecting: []int{1}, want: "1 requests, 0 canceled"},
		{name: "all, the first one last", disconnecting: []int{1, 2, 0}, want: "1 requests, 1 canceled"},
	}, func(t *testing.T, tt row) {
		release := make(chan bool)
		var requests, canceled atomic.Int32
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			http.NewResponseController(w).Flush() // the status and the header, so that only the body is missing
			body := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, recordedSession) }
			fakeAfter(release, body)(w, r)
			if r.Context().Err() != nil {
				canceled.Add(1)
			}
		})
		clients := []net.Conn{s.dial(t), s.dial(t), s.dial(t)}
		for _, c := range clients {
			io.WriteString(c, testRequest(testSessions, testSessionA))
			synctest.Wait()
		}
		wantLog := ""
		for _, i := range tt.disconnecting {
			clients[i].Close()
			synctest.Wait()
			wantLog += wantLogLine(testSessions, wantDisconnected, "")
		}
		close(release)
		for i, c := range clients {
			if !slices.Contains(tt.disconnecting, i) {
				testEqual(t, "response to another client", testReadResponse(c, "POST"), wantText("200 SessionA"))
				wantLog += wantLogLine(testSessions, "200", "")
			}
		}
		testEqual(t, "what OpenVidu sees", fmt.Sprintf("%d requests, %d canceled", requests.Load(), canceled.Load()),
			tt.want)
		testEqual(t, "log", s.log.lines(), wantLog)
		testEqual(t, "status after the end", s.send(t, testSessions, testSessionA)[:3], "200")
	})
}

// If a shared call fails, all who wait for it get the error. But if it times out, only the client that came first gets
// the timeout: the others have time left.
func TestSharedCallFails(t *testing.T) {
	type client struct {
		comes time.Duration // after the start
		want  string
		after time.Duration // since it came
	}
	const half = maxWait / 2
	var six []client
	for i := range 6 {
		six = append(six, client{time.Duration(i) * time.Second, wantTimeout, maxWait})
	}
	hang, work := fakeHang(""), http.HandlerFunc(fakeRecorded)
	fail := fakeDelay(maxWait-time.Second, fakeResponse(503, ""))
	type row struct {
		name     string
		openvidu []http.HandlerFunc // for the first request, and for all others
		clients  []client
	}
	testRows(t, []row{
		{name: "failure", openvidu: []http.HandlerFunc{fail, work},
			clients: []client{{0, wantFailed, maxWait - time.Second}, {half, wantFailed, half - time.Second}}},
		{name: "timeout of the first request", openvidu: []http.HandlerFunc{hang, work},
			clients: []client{{0, wantTimeout, maxWait}, {half, "200 SessionA", half}}},
		{name: "timeout of all requests", openvidu: []http.HandlerFunc{hang, hang}, clients: six},
	}, func(t *testing.T, tt row) {
		var requests atomic.Int32
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			tt.openvidu[min(requests.Add(1), 2)-1](w, r)
		})
		var clients sync.WaitGroup
		for _, c := range tt.clients {
			clients.Go(func() {
				time.Sleep(c.comes)
				start := time.Now()
				testEqual(t, "response", s.send(t, testSessions, testSessionA), wantText(c.want))
				testEqual(t, "time", time.Since(start), c.after)
			})
		}
		clients.Wait()
		s.openvidu.received()
		s.send(t, testSessions, testSessionA)
		testEqual(t, "requests to OpenVidu after the end", strings.Count(s.openvidu.received(), "POST "), 1)
	})

	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil)
		s.transport().Proxy = func(*http.Request) (*url.URL, error) {
			time.Sleep(time.Second)
			panic("a bug")
		}
		go s.send(t, testSessions, testSessionA) // net/http closes the connection
		synctest.Wait()
		testEqual(t, "response to a client that waits for a call that panics", s.send(t, testSessions, testSessionA),
			wantText(wantInternal))
		s.transport().Proxy = nil
		s.send(t, testSessions, testSessionA)
		testContains(t, "requests to OpenVidu after the panic", s.openvidu.received(), "POST ")
	})
}

// At most maxRequests requests to OpenVidu are made at a time, each on a connection of its own, which is reused. The
// others wait for their turn, first come, first served, for maxWait at most.
func TestTurns(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		release := make(chan bool)
		s := startTest(t, fakeAfter(release, fakeRecorded))
		responses := make(chan string, maxRequests+18)
		var ids []string
		for i := range cap(responses) {
			ids = append(ids, fmt.Sprint("s", i))
			go func() { responses <- s.send(t, "POST /api/sessions/"+ids[i]+"/connections", "") }()
			synctest.Wait()
		}
		arrived := func() string {
			var ids []string
			for _, request := range strings.Split(s.openvidu.received(), "POST /openvidu/api/sessions/")[1:] {
				id, _, _ := strings.Cut(request, "/")
				ids = append(ids, id)
			}
			return fmt.Sprint(ids)
		}
		testEqual(t, "sessions that have their turn", arrived(), fmt.Sprint(ids[:maxRequests]))
		for i := range 9 {
			if i == 4 {
				time.Sleep(maxWait - time.Second)
			}
			release <- true
			synctest.Wait()
			testEqual(t, "session that has its turn next", arrived(), fmt.Sprint(ids[maxRequests+i:][:1]))
		}
		testEqual(t, "connections", s.openvidu.connected.Load(), maxRequests)
		statuses := map[string]int{}
		for range cap(responses) {
			statuses[(<-responses)[:3]]++
		}
		testEqual(t, "statuses of the responses", fmt.Sprint(statuses), fmt.Sprintf("map[200:9 504:%d]", maxRequests+9))
	})
}

// If OpenVidu's response is missing or incomplete, the idle connections may be dead, too, so they are closed, and only
// one request fails. It isn't sent again: a second request for an IP camera would add the camera a second time.
func TestDeadConnections(t *testing.T) {
	const third = maxWait / 3
	truncated := "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
	type row struct {
		name       string
		openvidu   http.HandlerFunc // responds to the request that fails
		disconnect bool             // whether the client of that request disconnects
		wantClosed bool
	}
	testRows(t, []row{
		{name: "no response", openvidu: fakeDelay(2*third, fakeText("")), wantClosed: true},
		{name: "truncated response", openvidu: fakeDelay(2*third, fakeText(truncated)), wantClosed: true},
		{name: "timeout", openvidu: fakeHang(""), wantClosed: true},
		{name: "timeout within the response", openvidu: fakeHang(truncated), wantClosed: true},
		{name: "500", openvidu: fakeDelay(2*third, fakeResponse(500, recordedInternal))},
		{name: "client that disconnects", openvidu: fakeHang(""), disconnect: true},
		{name: "client that disconnects within the response", openvidu: fakeHang(truncated), disconnect: true},
	}, func(t *testing.T, tt row) {
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/camera/") {
				tt.openvidu(w, r)
				return
			}
			fakeDelay(time.Second, fakeRecorded)(w, r)
		})
		use := func(connections int) {
			var clients sync.WaitGroup
			for range connections {
				clients.Go(func() {
					testEqual(t, "status of another request", s.send(t, testConnections, "")[:3], "200")
				})
			}
			clients.Wait()
		}
		use(10)
		c := s.dial(t)
		io.WriteString(c, testRequest("POST /api/sessions/camera/connections", `{"type":"IPCAM"}`))
		time.Sleep(third)
		use(9) // otherwise, they would be closed because they are idle
		if tt.disconnect {
			c.Close()
		}
		testReadResponse(c, "POST")
		synctest.Wait()
		before := s.openvidu.connected.Load()
		testEqual(t, "connections before", before, 10)
		use(1)
		testEqual(t, "idle connections are closed", s.openvidu.connected.Load() > before, tt.wantClosed)
		testEqual(t, "times that the POST was sent", strings.Count(s.openvidu.received(), "/camera/"), 1)
	})
}

// An endless response is read up to maxResponse, not until the request times out.
func TestEndlessResponse(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		sent := 0
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			for n, err := 0, error(nil); err == nil && sent < 8*maxResponse; sent += n {
				n, err = w.Write(make([]byte, 1<<10))
			}
		})
		testEqual(t, "response", s.send(t, testSessions, ""),
			wantText(wantUnexpected))
		synctest.Wait()
		testEqual(t, "times maxResponse that OpenVidu could send", sent/maxResponse, 1)
	})
}

// OpenVidu's certificate is verified, TLS 1.2 is the minimum, and the log has the cause of a failure.
func TestTLS(t *testing.T) {
	trust := func(config *tls.Config, ca *x509.Certificate) {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AddCert(ca)
	}
	distrust := func(config *tls.Config, ca *x509.Certificate) { config.RootCAs = x509.NewCertPool() }
	type row struct {
		name, url  string
		openvidu   *tls.Config                          // nil for HTTP
		modify     func(*tls.Config, *x509.Certificate) // changes this server's configuration
		skipVerify string
		want       string
		wantCause  string // pattern
	}
	const (
		https = "https://127.0.0.1:4443"
		post  = `Post "https://127.0.0.1:4443/openvidu/api/sessions": `
	)
	testRows(t, []row{
		{name: "trusted certificate", url: https, openvidu: &tls.Config{}, modify: trust, want: "200 SessionA"},
		{name: "TLS 1.2", url: https, openvidu: &tls.Config{MaxVersion: tls.VersionTLS12}, modify: trust,
			want: "200 SessionA"},
		{name: "TLS 1.1", url: https, openvidu: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			modify: trust, want: wantUnreachable,
			wantCause: post + "remote error: tls: protocol version not supported"},
		{name: "unknown CA", url: https, openvidu: &tls.Config{}, modify: distrust, want: wantCertificate,
			wantCause: post + "tls: .* x509: certificate signed by unknown authority"},
		{name: "unknown CA, verification skipped", url: https, openvidu: &tls.Config{}, modify: distrust,
			skipVerify: "true",
			want:       "200 SessionA"},
		{name: "certificate of another host", url: "https://localhost:4443", openvidu: &tls.Config{}, modify: trust,
			want:      wantCertificate,
			wantCause: `Post "https://localhost:4443/.*": tls: .* x509: .* valid for example.com, .*, not localhost`},
		{name: "expired certificate", url: https, openvidu: &tls.Config{},
			modify: func(config *tls.Config, ca *x509.Certificate) {
				trust(config, ca)
				config.Time = func() time.Time { return ca.NotAfter.Add(time.Second) }
			}, want: wantCertificate,
			wantCause: post + "tls: .* x509: certificate has expired or is not yet valid: .*"},
		{name: "HTTP sent to an HTTPS port", url: "http://127.0.0.1:4443", openvidu: &tls.Config{}, want: wantNoAPI,
			wantCause: "status 400"},
		{name: "HTTPS sent to an HTTP port", url: https, want: wantNoAPI,
			wantCause: post + "http: server gave HTTP response to HTTPS client"},
	}, func(t *testing.T, tt row) {
		f := newFake(fakeRecorded)
		f.TLS, f.EnableHTTP2 = tt.openvidu, true // a proxy may offer HTTP/2, which maxRequests wouldn't limit
		s := startTestWith(t, f, nil, "OPENVIDU_URL="+tt.url, "OPENVIDU_TLS_SKIP_VERIFY="+tt.skipVerify)
		if tt.modify != nil {
			tt.modify(s.transport().TLSClientConfig, f.Certificate())
		}
		testEqual(t, "response", s.send(t, testSessions, ""), wantText(tt.want))
		testLogLine(t, s.log, testSessions, tt.want, tt.wantCause)
		testEqual(t, "connections", s.openvidu.connected.Load(), 1)
		if tt.want == "200 SessionA" {
			testEqual(t, "requests to OpenVidu", s.openvidu.received(), wantForwarded(testSessions, ""))
		}
	})
}

// Connecting to OpenVidu takes connectTimeout at most, and so does the TLS handshake.
func TestConnectTimeouts(t *testing.T) {
	// No address is unresponsive on every system. A name server that doesn't respond takes its place, because the
	// time includes the lookup. Another lookup comes first: package net has to create its channels outside the bubble.
	resolver := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = resolver })
	noNetwork := func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
	(&net.Resolver{PreferGo: true, Dial: noNetwork}).LookupHost(t.Context(), "openvidu.invalid")
	testBubble(t, func(t *testing.T) {
		var asked atomic.Bool
		end := make(chan bool)
		t.Cleanup(func() { close(end) })
		silent := func(context.Context, string, string) (net.Conn, error) {
			asked.Store(true)
			<-end
			return nil, net.ErrClosed
		}
		net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: silent}
		ov := newOpenVidu(&url.URL{Scheme: "http", Host: "openvidu.invalid"}, "", false)
		start := time.Now()
		_, err := ov.createSession(t.Context(), []byte("{}"))
		if !asked.Load() {
			t.Skip("this system is configured not to ask name servers")
		}
		testMatch(t, "error", fmt.Sprint(err), "^cannot reach OpenVidu: .*i/o timeout$")
		testEqual(t, "time to connect", time.Since(start), connectTimeout)
	})
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil, "OPENVIDU_URL=https://127.0.0.1:4443")
		s.transport().DialContext = func(context.Context, string, string) (net.Conn, error) {
			c, openvidu := net.Pipe()
			go io.Copy(io.Discard, openvidu) // never responds
			return c, nil
		}
		start := time.Now()
		testEqual(t, "response", s.send(t, testSessions, ""), wantText(wantUnreachable))
		testEqual(t, "time of the TLS handshake", time.Since(start), connectTimeout)
		testContains(t, "cause", s.log.lines(), "TLS handshake timeout")
	})
}

// A request waits for OpenVidu for maxWait at most, whatever it waits for. TestTimeouts has a session that never
// arrives.
func TestOpenViduTimeouts(t *testing.T) {
	type row struct {
		name, request string
		openvidu      http.HandlerFunc
	}
	testRows(t, []row{
		{name: "no response to a request for a connection", request: testConnections, openvidu: fakeHang("")},
		{name: "response that never ends", request: testSessions,
			openvidu: fakeHang("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")},
	}, func(t *testing.T, tt row) {
		s := startTest(t, tt.openvidu)
		start := time.Now()
		testEqual(t, "response", s.send(t, tt.request, ""), wantText(wantTimeout))
		testEqual(t, "time", time.Since(start), maxWait)
	})
}

// Connections to OpenVidu are reused if they were idle for less than maxIdle.
func TestIdleConnections(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		s := startTest(t, fakeDelay(time.Second, fakeRecorded))
		for _, tt := range []struct {
			idle time.Duration
			want int32 // connections so far
		}{{0, maxRequests}, {maxIdle - time.Second, maxRequests}, {maxIdle + time.Second, 2 * maxRequests}} {
			time.Sleep(tt.idle)
			var clients sync.WaitGroup
			for range maxRequests {
				clients.Go(func() { s.send(t, testSessions, "") })
			}
			clients.Wait()
			testEqual(t, fmt.Sprint("connections to OpenVidu after being idle for ", tt.idle),
				s.openvidu.connected.Load(), tt.want)
		}
	})
}

// Requests to OpenVidu use the proxy that the environment names, unless NO_PROXY excludes OpenVidu's host. The
// program runs in another process because net/http reads these variables only once.
func TestProxy(t *testing.T) {
	t.Parallel()
	proxy := newFake(fakeResponse(407, ""))
	proxy.start(t, nil)
	// If a proxy is ignored, these addresses lead nowhere. For 127.0.0.1, net/http uses no proxy.
	p := startProcess(t, "OPENVIDU_URL=http://0.0.0.0:1", "HTTP_PROXY="+proxy.URL)
	p.waitFor(t, `error="unexpected response from OpenVidu: check OPENVIDU_URL: status 407"`)
	testContains(t, "request to the proxy", proxy.received(), "GET http://0.0.0.0:1/openvidu/api/config\n")

	p = startProcess(t, "OPENVIDU_URL=https://0.0.0.0:1", "HTTPS_PROXY="+proxy.URL)
	p.waitFor(t, `error="cannot reach OpenVidu: .*Proxy Authentication Required`)
	testContains(t, "request to the proxy", proxy.received(), "CONNECT 0.0.0.0:1\n")

	p = startProcess(t, "OPENVIDU_URL=http://0.0.0.0:1", "HTTP_PROXY="+proxy.URL, "NO_PROXY=0.0.0.0")
	p.waitFor(t, `error="cannot reach OpenVidu: .*: dial tcp `)
	testEqual(t, "requests to the proxy in spite of NO_PROXY", proxy.received(), "")
}
