import { statSync } from 'node:fs'
import type { StoreFigures } from '../store.ts'
import type { Connection } from './connection.ts'

/** What the database takes on the disk. Between the start of a WAL and the first write there is none. */
export const fileSizes = (db: Connection): Omit<StoreFigures, 'writes_waiting'> =>
  db.memory
    ? { database_bytes: 0, wal_bytes: 0 }
    : { database_bytes: sizeOf(db.name), wal_bytes: sizeOf(`${db.name}-wal`) }

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0
