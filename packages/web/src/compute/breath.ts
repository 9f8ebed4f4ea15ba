// A pause in which a worker hears its messages: computing is synchronous, and a worker that computes is deaf.

/** A turn of the event loop; shorter than a timer's least delay. */
export function breath(): Promise<void> {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(null);
  });
}
