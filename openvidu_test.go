package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Each fault of OpenVidu has a message that says what to check. The log adds the cause.
func TestOpenViduFaults(t *testing.T) {
	const (
		credentials = "502 OpenVidu rejected the credentials: check OPENVIDU_SECRET"
		forbidden   = "502 OpenVidu denied access: check OPENVIDU_URL, OpenVidu's log and its ALLOWED_ACCESS_TO_RESTAPI"
		noAPI       = "502 no OpenVidu API found: check the scheme, host, port and path in OPENVIDU_URL"
		failed      = "502 OpenVidu failed: check that it is running and see its log"
		unexpected  = "502 unexpected response from OpenVidu: check OPENVIDU_URL"
		unreachable = "502 cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"
		post        = `: Post "http://127.0.0.1:4443/openvidu/api/sessions": `
		transport   = post + "net/http: HTTP/1.x transport connection broken: "
		chunked     = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		noType      = ": json: cannot unmarshal number into Go struct field .id of type string"
	)
	padded := func(size int) http.HandlerFunc {
		return fakeResponse(200, recordedSession+strings.Repeat(" ", size-len(recordedSession)))
	}
	redirect := func(status int) http.HandlerFunc { return http.RedirectHandler("/", status).ServeHTTP }
	testRows(t, []testExchange{
		{name: "wrong secret", path: testSessions, openvidu: fakeResponse(401, recordedUnauthorized),
			want: credentials},
		{name: "wrong secret, OpenVidu 2.32", path: testConnections, openvidu: fakeResponse(401, ""),
			want: credentials},
		{name: "wrong path, OpenVidu 2.32", path: testSessions, openvidu: fakeResponse(403, ""), want: forbidden},
		{name: "403 from nginx", path: testConnections, openvidu: fakeResponse(403, recordedHTML), want: forbidden},
		{name: "wrong path for a connection", path: testConnections, openvidu: fakeResponse(404, recordedNotFound),
			want: noAPI, wantCause: ": status 404"},
		{name: "wrong path for a session", path: testSessions, openvidu: fakeResponse(404, recordedNotFound),
			want: noAPI, wantCause: ": status 404"},
		{name: "empty 404 for a session", path: testSessions, openvidu: fakeResponse(404, ""),
			want: noAPI, wantCause: ": status 404"},
		{name: "400 from Tomcat", path: testSessions, openvidu: fakeResponse(400, recordedHTML),
			want: noAPI, wantCause: ": status 400"},
		{name: "400 from another API", path: testConnections, openvidu: fakeResponse(400, `{"message":"a"}`),
			want: noAPI, wantCause: ": status 400"},
		{name: "redirect to HTTPS", path: testSessions, openvidu: redirect(301),
			want: noAPI, wantCause: ": status 301"},
		{name: "redirect of a POST", path: testConnections, openvidu: redirect(307),
			want: noAPI, wantCause: ": status 307"},
		{name: "500", path: testConnections, openvidu: fakeResponse(500, recordedInternal),
			want: failed, wantCause: ": status 500"},
		{name: "503 from nginx", path: testSessions, openvidu: fakeResponse(503, recordedHTML),
			want: failed, wantCause: ": status 503"},
		{name: "504 from nginx", path: testConnections, openvidu: fakeResponse(504, recordedHTML),
			want: failed, wantCause: ": status 504"},
		{name: "409 without a customSessionId", path: testSessions, body: `{"customSessionId":null}`,
			openvidu: fakeResponse(409, ""), want: unexpected, wantCause: ": status 409"},
		{name: "409 with CustomSessionId in the wrong case", path: testSessions, body: `{"CustomSessionId":"A"}`,
			openvidu: fakeResponse(409, ""), want: unexpected, wantCause: ": status 409"},
		{name: "409 for a connection", path: testConnections, body: testSessionA, openvidu: fakeResponse(409, ""),
			want: unexpected, wantCause: ": status 409"},
		{name: "415", path: testSessions, body: testSessionA, openvidu: fakeResponse(415, ""),
			want: unexpected, wantCause: ": status 415"},
		{name: "201", path: testSessions, openvidu: fakeResponse(201, recordedSession),
			want: unexpected, wantCause: ": status 201"},
		{name: "HTML from another server", path: testSessions, openvidu: fakeResponse(200, recordedHTML),
			want: unexpected, wantCause: ": invalid character '<' looking for beginning of value"},
		{name: "empty response", path: testConnections, openvidu: fakeResponse(200, ""),
			want: unexpected, wantCause: ": unexpected end of JSON input"},
		{name: "number as the session ID", path: testSessions, openvidu: fakeResponse(200, `{"id":5}`),
			want: unexpected, wantCause: noType},
		{name: "response without a session ID", path: testSessions, openvidu: fakeResponse(200, recordedConfig),
			want: unexpected, wantCause: ": no session ID"},
		{name: "response without a token", path: testConnections, openvidu: fakeResponse(200,
			`{"type":"WEBRTC","token":null}`),
			want: unexpected, wantCause: ": no token"},
		{name: "response of 1 MiB", path: testSessions, openvidu: padded(1 << 20), want: "200 SessionA"},
		{name: "response of 1 MiB and a byte", path: testSessions, openvidu: padded(1<<20 + 1),
			want: unexpected, wantCause: ": larger than 1048576 bytes"},
		{name: "truncated body", path: testSessions, want: unexpected, wantCause: ": unexpected EOF",
			openvidu: fakeText("HTTP/1.1 200 OK\r\nContent-Length: 535\r\n\r\n" + recordedSession[:500])},
		{name: "invalid chunk", path: testConnections, openvidu: fakeText(chunked + "x\r\n" + testToken),
			want: unexpected, wantCause: ": invalid byte in chunk length"},
		{name: "no response", path: testSessions, openvidu: fakeText(""), want: unreachable, wantCause: post + "EOF"},
		{name: "SSH server", path: testSessions, openvidu: fakeText("SSH-2.0-OpenSSH_9.2\r\n"), want: unreachable,
			wantCause: transport + `malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		{name: "header of 65 KiB", path: testSessions, want: unreachable,
			openvidu:  fakeText("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 65<<10) + "\r\n\r\n"),
			wantCause: transport + "net/http: server response headers exceeded 65536 bytes; aborted"},
	}, func(t *testing.T, e testExchange) { e.run(t) })
}

// While OpenVidu creates a session, identical requests with its customSessionId share one request to OpenVidu.
func TestSharedCalls(t *testing.T) {
	type row struct {
		name, path   string
		bodies       []string // of concurrent requests
		want         string
		wantRequests int // to OpenVidu
	}
	testRows(t, []row{
		{name: "identical requests", path: testSessions, bodies: slices.Repeat([]string{testSessionA}, 100),
			want: "200 SessionA", wantRequests: 1},
		{name: "different properties", path: testSessions, bodies: []string{testSessionA, testSessionA + " ",
			`{"customSessionId":"B"}`}, want: "200 SessionA", wantRequests: 3},
		{name: "no customSessionId", path: testSessions, bodies: []string{"", "", "{}", `{"customSessionId":null}`,
			`{"customSessionId":null}`, `{"customSessionId":""}`, `{"customSessionId":""}`},
			want: "200 SessionA", wantRequests: 7},
		{name: "connections", path: testConnections, bodies: []string{testSessionA, testSessionA, "", ""},
			want: "200 " + testToken, wantRequests: 4},
	}, func(t *testing.T, tt row) {
		release := make(chan bool)
		s := startTest(t, fakeAfter(release, fakeRecorded))
		responses := make(chan string)
		for _, body := range tt.bodies {
			go func() { responses <- s.post(t, tt.path, body) }()
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
		testEqual(t, "log", s.log.lines(), strings.Repeat(wantLogLine(tt.path, tt.want, ""), len(tt.bodies)))

		testEqual(t, "status after the end", s.post(t, tt.path, tt.bodies[0])[:3], "200")
		testEqual(t, "requests to OpenVidu after the end", strings.Count(s.openvidu.received(), "POST "), 1)
	})
}

// The request that comes first makes the shared call. If its client disconnects, another one makes it again.
func TestSharedCallDisconnects(t *testing.T) {
	type row struct {
		name          string
		disconnecting []int  // which of two clients disconnects, in this order; client 0 comes first
		want          string // what OpenVidu sees
	}
	testRows(t, []row{
		{name: "the client that came first", disconnecting: []int{0}, want: "2 requests, 1 canceled"},
		{name: "a client that waits", disconnecting: []int{1}, want: "1 requests, 0 canceled"},
		{name: "both, the first one first", disconnecting: []int{0, 1}, want: "2 requests, 2 canceled"},
		{name: "both, the first one last", disconnecting: []int{1, 0}, want: "1 requests, 1 canceled"},
	}, func(t *testing.T, tt row) {
		release := make(chan bool)
		var requests, canceled atomic.Int32
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			fakeAfter(release, fakeRecorded)(w, r)
			if r.Context().Err() != nil {
				canceled.Add(1)
			}
		})
		clients := []net.Conn{s.dial(t), s.dial(t)}
		for _, c := range clients {
			io.WriteString(c, testRequest("POST", testSessions, testSessionA))
			synctest.Wait()
		}
		wantLog := ""
		for _, i := range tt.disconnecting {
			clients[i].Close()
			synctest.Wait()
			wantLog += wantLogLine(testSessions, "499 client disconnected", "")
		}
		close(release)
		for i, c := range clients {
			if !slices.Contains(tt.disconnecting, i) {
				testEqual(t, "response to the other client", testReadResponse(c, "POST"), wantText("200 SessionA"))
				wantLog += wantLogLine(testSessions, "200", "")
			}
		}
		testEqual(t, "what OpenVidu sees", fmt.Sprintf("%d requests, %d canceled", requests.Load(), canceled.Load()),
			tt.want)
		testEqual(t, "log", s.log.lines(), wantLog)
		testEqual(t, "status after the end", s.post(t, testSessions, testSessionA)[:3], "200")
	})
}

// If a shared call fails, all who wait for it get the error.
func TestSharedCallFails(t *testing.T) {
	const timedOut = "504 OpenVidu timed out: try again, or check OPENVIDU_URL"
	const failed = "502 OpenVidu failed: check that it is running and see its log"
	type row struct {
		name      string
		openvidu  http.HandlerFunc
		want      string
		wantAfter time.Duration // since the first of three clients came; the others come 10 s and 20 s later
	}
	testRows(t, []row{
		{name: "failure", openvidu: fakeDelay(25*time.Second, fakeResponse(503, "")), want: failed,
			wantAfter: 25 * time.Second},
		{name: "timeout", openvidu: fakeHang(""), want: timedOut, wantAfter: 30 * time.Second},
	}, func(t *testing.T, tt row) {
		s := startTest(t, tt.openvidu)
		start := time.Now()
		var clients sync.WaitGroup
		for i := range 3 {
			clients.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Second)
				testEqual(t, "response", s.post(t, testSessions, testSessionA), wantText(tt.want))
				testEqual(t, "time", time.Since(start), tt.wantAfter)
			})
		}
		clients.Wait()
		testEqual(t, "requests to OpenVidu", strings.Count(s.openvidu.received(), "POST "), 1)
	})

	testBubble(t, func(t *testing.T) {
		s := startTest(t, fakeHang(""))
		c := s.dial(t)
		io.WriteString(c, testRequest("POST", testSessions, testSessionA))
		start := time.Now()
		time.AfterFunc(20*time.Second, func() { c.Close() })
		time.Sleep(time.Second)
		testEqual(t, "response", s.post(t, testSessions, testSessionA), wantText(timedOut))
		testEqual(t, "time until a client that waits and then makes the call gives up", time.Since(start),
			31*time.Second)
	})

	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil)
		s.transport().Proxy = func(*http.Request) (*url.URL, error) {
			time.Sleep(time.Second)
			panic("a bug")
		}
		go s.post(t, testSessions, testSessionA) // net/http closes the connection
		synctest.Wait()
		testEqual(t, "response to a client that waits for a call that panics", s.post(t, testSessions, testSessionA),
			wantText("500 internal server error: see this server's log"))
	})
}

// At most 32 requests to OpenVidu are made at a time, each on a connection of its own, which is reused. The others
// wait for their turn, first come, first served, for 30 s at most.
func TestTurns(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		release := make(chan bool)
		s := startTest(t, fakeAfter(release, fakeRecorded))
		responses := make(chan string, 50)
		var ids []string
		for i := range cap(responses) {
			ids = append(ids, fmt.Sprint("s", i))
			go func() { responses <- s.post(t, "/api/sessions/"+ids[i]+"/connections", "") }()
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
		testEqual(t, "sessions that have their turn", arrived(), fmt.Sprint(ids[:32]))
		for i := range 9 {
			if i == 4 {
				time.Sleep(29 * time.Second)
			}
			release <- true
			synctest.Wait()
			testEqual(t, "session that has its turn next", arrived(), fmt.Sprint(ids[32+i:33+i]))
		}
		testEqual(t, "connections", s.openvidu.connected.Load(), 32)
		statuses := map[string]int{}
		for range cap(responses) {
			statuses[(<-responses)[:3]]++
		}
		testEqual(t, "statuses of the responses", fmt.Sprint(statuses), "map[200:9 504:41]")
	})
}

// OpenVidu gets each POST once, even if it closes the connection without a response and other connections are idle. A
// second request for an IP camera would add the camera twice.
func TestOneExecution(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		release := make(chan bool)
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/openvidu/api/sessions" {
				fakeText("")(w, r)
				return
			}
			fakeAfter(release, fakeRecorded)(w, r)
		})
		var clients sync.WaitGroup
		for range 10 { // 10 connections
			clients.Go(func() { s.post(t, testConnections, "") })
		}
		synctest.Wait()
		close(release)
		clients.Wait()
		testEqual(t, "connections", s.openvidu.connected.Load(), 10)
		s.openvidu.received()
		testEqual(t, "response", s.post(t, testSessions, ""),
			wantText("502 cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"))
		testEqual(t, "requests to OpenVidu", strings.Count(s.openvidu.received(), "POST "), 1)
	})
}

// An endless response is read up to 1 MiB, not until the request times out.
func TestEndlessResponse(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		sent := 0
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			for n, err := 0, error(nil); err == nil && sent < 8<<20; sent += n {
				n, err = w.Write(make([]byte, 1<<10))
			}
		})
		testEqual(t, "response", s.post(t, testSessions, ""),
			wantText("502 unexpected response from OpenVidu: check OPENVIDU_URL"))
		synctest.Wait()
		testEqual(t, "MiB that OpenVidu could send", sent>>20, 1)
	})
}

// OpenVidu's certificate is verified, TLS 1.2 is the minimum, and the log has the cause of a failure.
func TestTLS(t *testing.T) {
	const (
		certificate = "502 cannot verify OpenVidu's certificate: check the certificate and its CA " +
			"or, in development only, set OPENVIDU_TLS_SKIP_VERIFY=true"
		unreachable = "502 cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"
		noAPI       = "502 no OpenVidu API found: check the scheme, host, port and path in OPENVIDU_URL"
	)
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
	const https = "https://127.0.0.1:4443"
	testRows(t, []row{
		{name: "trusted certificate", url: https, openvidu: &tls.Config{}, modify: trust, want: "200 SessionA"},
		{name: "TLS 1.2", url: https, openvidu: &tls.Config{MaxVersion: tls.VersionTLS12}, modify: trust,
			want: "200 SessionA"},
		{name: "TLS 1.1", url: https, openvidu: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			modify: trust, want: unreachable, wantCause: "tls: .*protocol version"},
		{name: "unknown CA", url: https, openvidu: &tls.Config{}, modify: distrust, want: certificate,
			wantCause: "x509: .*unknown authority"},
		{name: "unknown CA, verification skipped", url: https, openvidu: &tls.Config{}, modify: distrust,
			skipVerify: "true",
			want:       "200 SessionA"},
		{name: "certificate of another host", url: "https://localhost:4443", openvidu: &tls.Config{}, modify: trust,
			want: certificate, wantCause: "x509: .*valid for .* not localhost"},
		{name: "HTTP sent to an HTTPS port", url: "http://127.0.0.1:4443", openvidu: &tls.Config{}, want: noAPI,
			wantCause: "status 400"},
		{name: "HTTPS sent to an HTTP port", url: https, want: noAPI,
			wantCause: "server gave HTTP response to HTTPS client"},
	}, func(t *testing.T, tt row) {
		f := newFake(fakeRecorded)
		f.TLS = tt.openvidu
		s := startTestWith(t, f, newAPI, "OPENVIDU_URL="+tt.url, "OPENVIDU_TLS_SKIP_VERIFY="+tt.skipVerify)
		if tt.modify != nil {
			tt.modify(s.transport().TLSClientConfig, f.Certificate())
		}
		testEqual(t, "response", s.post(t, testSessions, ""), wantText(tt.want))
		status, text, _ := strings.Cut(tt.want, " ")
		want := "^level=INFO .* status=200 duration=\\S+\n$"
		if tt.wantCause != "" {
			want = "^level=ERROR .* status=" + status + " duration=\\S+ error=\"" + regexp.QuoteMeta(text) + ": .*" +
				tt.wantCause + ".*\"\n$"
		}
		testMatch(t, "log", s.log.lines(), regexp.MustCompile(want))
		testEqual(t, "connections", s.openvidu.connected.Load(), 1)
	})
}

// Connecting to OpenVidu takes 5 s at most, and so does the TLS handshake.
func TestConnectTimeouts(t *testing.T) {
	const unreachable = "502 cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"
	// A name server that doesn't respond stands in for a host that doesn't, on every system. Another lookup comes
	// first, because package net has to create its channels outside the bubble.
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
		s := startTest(t, nil, "OPENVIDU_URL=http://openvidu.invalid")
		s.transport().DialContext = s.dialOpenVidu
		start := time.Now()
		response := s.post(t, testSessions, "")
		if !asked.Load() {
			t.Skip("this system is configured not to ask name servers")
		}
		testEqual(t, "response", response, wantText(unreachable))
		testEqual(t, "time to connect", time.Since(start), 5*time.Second)
	})
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil, "OPENVIDU_URL=https://127.0.0.1:4443")
		s.transport().DialContext = func(context.Context, string, string) (net.Conn, error) {
			c, openvidu := net.Pipe()
			go io.Copy(io.Discard, openvidu) // never responds
			return c, nil
		}
		start := time.Now()
		testEqual(t, "response", s.post(t, testSessions, ""), wantText(unreachable))
		testEqual(t, "time of the TLS handshake", time.Since(start), 5*time.Second)
		testContains(t, "log", s.log.lines(), "TLS handshake timeout")
	})
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil)
		s.openvidu.Listener.Close()
		testEqual(t, "response if OpenVidu is down", s.post(t, testSessions, ""), wantText(unreachable))
		testEqual(t, "log if OpenVidu is down", s.log.lines(), wantLogLine(testSessions, unreachable,
			`: Post "http://127.0.0.1:4443/openvidu/api/sessions": `+net.ErrClosed.Error()))
	})
}

// Connections to OpenVidu are reused if they were idle for less than 30 s; OpenVidu closes them after 60 s. This
// server closes a client's idle connection after 2 min.
func TestIdleConnections(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		s := startTest(t, fakeDelay(time.Second, fakeRecorded))
		for _, tt := range []struct {
			idle time.Duration
			want int32 // connections so far
		}{{0, 32}, {29 * time.Second, 32}, {31 * time.Second, 64}} {
			time.Sleep(tt.idle)
			var clients sync.WaitGroup
			for range 32 {
				clients.Go(func() { s.post(t, testSessions, "") })
			}
			clients.Wait()
			testEqual(t, fmt.Sprint("connections to OpenVidu after being idle for ", tt.idle),
				s.openvidu.connected.Load(), tt.want)
		}

		c := s.dial(t)
		io.WriteString(c, testRequest("POST", testSessions, ""))
		testEqual(t, "response", testReadResponse(c, "POST"), wantText("200 SessionA"))
		start := time.Now()
		testEqual(t, "response on an idle connection", testReadResponse(c, "POST"), "unexpected EOF")
		testEqual(t, "time until a client's idle connection is closed", time.Since(start), 2*time.Minute)
	})
}

// Requests to OpenVidu use the proxy that the environment names, unless NO_PROXY excludes OpenVidu's host. The
// program runs in another process because net/http reads these variables only once.
func TestProxy(t *testing.T) {
	t.Parallel()
	proxy := newFake(fakeResponse(407, ""))
	proxy.start(t, nil)
	p := startProcess(t, "OPENVIDU_URL=http://openvidu.invalid:4443/", "HTTP_PROXY="+proxy.URL)
	p.waitFor(t, `error="unexpected response from OpenVidu: check OPENVIDU_URL: status 407"`)
	testContains(t, "request to the proxy", proxy.received(), "GET http://openvidu.invalid:4443/openvidu/api/config\n")

	p = startProcess(t, "OPENVIDU_URL=http://0.0.0.0:1", "HTTP_PROXY="+proxy.URL, "NO_PROXY=0.0.0.0")
	p.waitFor(t, `error="cannot reach OpenVidu: .*: dial tcp `)
	testEqual(t, "requests to the proxy in spite of NO_PROXY", proxy.received(), "")
}
