package gateway;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;

/** A service that calls its upstream as Spring's do, through Resilience4j: PORT UPSTREAM_PORT [SETTING=VALUE]... */
final class Main {
  private static final int THREADS = 64;

  private final Executor threads = Executors.newFixedThreadPool(THREADS);
  private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private volatile boolean warm;

  public static void main(String[] args) throws Exception {
    // Without it Nagle's algorithm holds answers back for 40 ms.
    System.setProperty("sun.net.httpserver.nodelay", "true");
    var settings = Settings.parse(Arrays.asList(args).subList(2, args.length));
    var main = new Main();
    main.serve(Integer.parseInt(args[0]), "http://127.0.0.1:" + Integer.parseInt(args[1]), settings);
    main.warmUp();
    main.warm = true;
  }

  private HttpServer serve(int port, String upstream, Settings settings) throws IOException {
    var guard = new Guard(settings, client);
    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 1024);
    server.setExecutor(Executors.newFixedThreadPool(8));
    server.createContext("/", new Proxy(upstream, guard, settings.fallback(), threads));
    server.createContext("/healthz", exchange -> text(exchange, warm ? 200 : 503, warm ? "ok\n" : "warming up\n"));
    server.createContext("/actuator/prometheus", exchange -> text(exchange, 200, guard.prometheus()));
    server.createContext("/actuator/circuitbreakerevents/", exchange -> {
      String[] path = exchange.getRequestURI().getPath().split("/");
      try (exchange) {
        Proxy.json(exchange, 200, guard.events(path.length > 3 ? path[3] : "", path.length > 4 ? path[4] : ""));
      }
    });
    server.start();
    return server;
  }

  /** Has a throwaway copy of the service answer in each way: the first calls of a cold JVM take half a second. */
  private void warmUp() throws Exception {
    var upstream = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    upstream.setExecutor(threads);
    upstream.createContext("/", exchange -> {
      exchange.getRequestBody().readAllBytes();
      try (exchange) {
        Proxy.json(exchange, exchange.getRequestURI().getPath().equals("/fail") ? 500 : 200, "{}");
      }
    });
    upstream.start();
    var settings = Settings.parse(List.of("wait=100ms", "timelimit=10s", "bulkhead=4"));
    var service = serve(0, "http://127.0.0.1:" + upstream.getAddress().getPort(), settings);
    String base = "http://127.0.0.1:" + service.getAddress().getPort();
    for (int round = 0; round < 40; round++) {
      String path = round % 4 == 3 ? "/fail" : "/";
      var calls = new CompletableFuture<?>[16];
      for (int i = 0; i < calls.length; i++) {
        var request = HttpRequest.newBuilder(URI.create(base + path)).POST(BodyPublishers.ofString("{}")).build();
        calls[i] = client.sendAsync(request, BodyHandlers.ofByteArray());
      }
      CompletableFuture.allOf(calls).join();
      for (String report : List.of("/actuator/prometheus", "/actuator/circuitbreakerevents/llm/STATE_TRANSITION")) {
        client.send(HttpRequest.newBuilder(URI.create(base + report)).build(), BodyHandlers.ofByteArray());
      }
    }
    service.stop(0);
    upstream.stop(0);
  }

  private static void text(HttpExchange exchange, int status, String body) throws IOException {
    try (exchange) {
      exchange.getResponseHeaders().set("content-type", "text/plain; version=0.0.4; charset=utf-8");
      Proxy.write(exchange, status, body.getBytes(StandardCharsets.UTF_8));
    }
  }
}
