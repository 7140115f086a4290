export type RefusalReason = 'locked' | 'newer' | 'changed_migration' | 'shorter' | 'damaged'

/** The data directory cannot be served as it is. The message is for a person, and says what to do. */
export class StoreRefused extends Error {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string) {
    super(message)
    this.name = 'StoreRefused'
    this.reason = reason
  }
}
