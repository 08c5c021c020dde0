package gateway;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import io.github.resilience4j.bulkhead.BulkheadFullException;
import io.github.resilience4j.circuitbreaker.CallNotPermittedException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeoutException;

/** Passes requests on to the upstream through its guard. */
record Proxy(String upstream, Guard guard, boolean fallback, Executor threads) implements HttpHandler {

  @Override
  public void handle(HttpExchange exchange) {
    // Its own threads, so that a hanging upstream leaves the metrics readable.
    threads.execute(() -> {
      try (exchange) {
        answer(exchange);
      } catch (IOException gone) {
        // The client did not wait for the answer.
      }
    });
  }

  private void answer(HttpExchange exchange) throws IOException {
    HttpRequest request = request(exchange);
    try {
      HttpResponse<byte[]> response = guard.call(request);
      if (fallback && response.statusCode() >= 500) {
        fallBack(exchange);
      } else {
        pass(exchange, response);
      }
    } catch (CallNotPermittedException open) {
      fail(exchange, 503, "circuit breaker is open");
    } catch (BulkheadFullException full) {
      fail(exchange, 503, "bulkhead is full");
    } catch (TimeoutException late) {
      fail(exchange, 504, "time limit");
    } catch (Exception broken) {
      fail(exchange, 502, "upstream");
    }
  }

  private HttpRequest request(HttpExchange exchange) throws IOException {
    byte[] body = exchange.getRequestBody().readAllBytes();
    var request = HttpRequest.newBuilder(URI.create(upstream + exchange.getRequestURI()))
        .method(exchange.getRequestMethod(), body.length == 0 ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body));
    String type = exchange.getRequestHeaders().getFirst("content-type");
    if (type != null) {
      request.header("content-type", type);
    }
    return request.build();
  }

  private static void pass(HttpExchange exchange, HttpResponse<byte[]> response) throws IOException {
    response.headers().map().forEach((name, values) -> {
      if (name.equals("content-type") || name.startsWith("x-")) {
        exchange.getResponseHeaders().put(name, values);
      }
    });
    write(exchange, response.statusCode(), response.body());
  }

  private void fail(HttpExchange exchange, int status, String why) throws IOException {
    if (fallback) {
      fallBack(exchange);
    } else {
      json(exchange, status, "{\"error\":\"" + why + "\"}");
    }
  }

  private static void fallBack(HttpExchange exchange) throws IOException {
    exchange.getResponseHeaders().set("x-fallback", "true");
    exchange.getResponseHeaders().set("x-model-version", "fallback");
    json(exchange, 200, "{\"fallback\":true}");
  }

  static void json(HttpExchange exchange, int status, String body) throws IOException {
    exchange.getResponseHeaders().set("content-type", "application/json");
    write(exchange, status, body.getBytes(StandardCharsets.UTF_8));
  }

  static void write(HttpExchange exchange, int status, byte[] body) throws IOException {
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    exchange.getResponseBody().write(body);
  }
}
