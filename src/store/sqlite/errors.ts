import Database from 'better-sqlite3'
import { LedgerError } from '../../domain/error.ts'

/** The driver's errors that a caller can act upon. Everything else is a fault of ours and stays as it is. */
export function translated(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error
  const { code } = error
  if (code === 'SQLITE_FULL') {
    return new LedgerError('disk_full', 'The disk of the server is full. Nothing was written.', {}, error)
  }
  if (isBusy(error) || /^SQLITE_(IOERR|CANTOPEN|READONLY)/.test(code)) {
    return new LedgerError('store_unavailable', 'The store does not answer. Try again.', {}, error)
  }
  return error
}

export const isBusy = (error: unknown): boolean =>
  error instanceof Database.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code)
