package gateway;

import io.github.resilience4j.bulkhead.Bulkhead;
import io.github.resilience4j.bulkhead.BulkheadConfig;
import io.github.resilience4j.bulkhead.BulkheadFullException;
import io.github.resilience4j.bulkhead.BulkheadRegistry;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig.SlidingWindowType;
import io.github.resilience4j.circuitbreaker.CircuitBreakerRegistry;
import io.github.resilience4j.circuitbreaker.event.CircuitBreakerOnStateTransitionEvent;
import io.github.resilience4j.micrometer.tagged.TaggedBulkheadMetrics;
import io.github.resilience4j.micrometer.tagged.TaggedCircuitBreakerMetrics;
import io.github.resilience4j.micrometer.tagged.TaggedTimeLimiterMetrics;
import io.github.resilience4j.timelimiter.TimeLimiter;
import io.github.resilience4j.timelimiter.TimeLimiterConfig;
import io.github.resilience4j.timelimiter.TimeLimiterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

/** The upstream's circuit breaker, bulkhead and time limiter, as far as they are set, with what they tell of themselves. */
final class Guard {
  private static final String NAME = "llm";
  private static final int EVENTS = 100;

  private final HttpClient client;
  private final PrometheusMeterRegistry meters = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final Deque<CircuitBreakerOnStateTransitionEvent> transitions = new ArrayDeque<>();
  private CircuitBreaker breaker;
  private Bulkhead bulkhead;
  private TimeLimiter limiter;

  Guard(Settings settings, HttpClient client) {
    this.client = client;
    if (settings.breaker()) {
      var registry = CircuitBreakerRegistry.of(CircuitBreakerConfig.custom()
          .slidingWindow(settings.window(), settings.window(), SlidingWindowType.COUNT_BASED)
          .failureRateThreshold(settings.rate())
          .waitDurationInOpenState(settings.openFor())
          .automaticTransitionFromOpenToHalfOpenEnabled(true)
          .permittedNumberOfCallsInHalfOpenState(settings.probes())
          .recordResult(answer -> answer instanceof HttpResponse<?> response && response.statusCode() >= 500)
          // A full bulkhead says nothing about the upstream.
          .ignoreExceptions(BulkheadFullException.class)
          .build());
      breaker = registry.circuitBreaker(NAME);
      breaker.getEventPublisher().onStateTransition(this::remember);
      TaggedCircuitBreakerMetrics.ofCircuitBreakerRegistry(registry).bindTo(meters);
    }
    if (settings.bulkhead() != null) {
      var registry = BulkheadRegistry.of(BulkheadConfig.custom()
          .maxConcurrentCalls(settings.bulkhead())
          .maxWaitDuration(Duration.ZERO)
          .build());
      bulkhead = registry.bulkhead(NAME);
      TaggedBulkheadMetrics.ofBulkheadRegistry(registry).bindTo(meters);
    }
    if (settings.timeLimit() != null) {
      var registry = TimeLimiterRegistry.of(TimeLimiterConfig.custom().timeoutDuration(settings.timeLimit()).build());
      limiter = registry.timeLimiter(NAME);
      TaggedTimeLimiterMetrics.ofTimeLimiterRegistry(registry).bindTo(meters);
    }
  }

  HttpResponse<byte[]> call(HttpRequest request) throws Exception {
    Callable<HttpResponse<byte[]>> call = limiter == null
        ? () -> client.send(request, BodyHandlers.ofByteArray())
        : limiter.decorateFutureSupplier(() -> client.sendAsync(request, BodyHandlers.ofByteArray()));
    if (bulkhead != null) {
      call = Bulkhead.decorateCallable(bulkhead, call);
    }
    if (breaker != null) {
      call = CircuitBreaker.decorateCallable(breaker, call);
    }
    return call.call();
  }

  String prometheus() {
    return meters.scrape();
  }

  /** The state transitions, in the words of Spring's actuator. */
  String events(String name, String type) {
    synchronized (transitions) {
      return transitions.stream()
          .filter(event -> event.getCircuitBreakerName().equals(name) && event.getEventType().name().equals(type))
          .map(event -> """
              {"circuitBreakerName":"%s","type":"%s","creationTime":"%s","errorMessage":null,"durationInMs":null,"stateTransition":"%s"}"""
              .formatted(event.getCircuitBreakerName(), event.getEventType(), event.getCreationTime(), event.getStateTransition().name()))
          .collect(Collectors.joining(",", "{\"circuitBreakerEvents\":[", "]}"));
    }
  }

  private void remember(CircuitBreakerOnStateTransitionEvent event) {
    synchronized (transitions) {
      if (transitions.size() == EVENTS) {
        transitions.removeFirst();
      }
      transitions.addLast(event);
    }
  }
}
