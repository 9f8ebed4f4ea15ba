/** Made when it is first asked for; what making it held is let go. */
export class Once<Made> {
  private make: (() => Made) | null;
  private made: Made | undefined;

  constructor(make: () => Made) {
    this.make = make;
  }

  get(): Made {
    if (this.make !== null) {
      this.made = this.make();
      this.make = null;
    }
    return this.made as Made; // made once
  }
}
